"""Serve a web application to the people of this machine alone: on its loopback address, under a secret address."""

import secrets
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

ADDRESS = "127.0.0.1"

_HOSTS = ("127.0.0.1", "localhost", "::1")
_HEADERS = {
    # Nothing is loaded from elsewhere, nothing is kept, and the address with its token is told to nobody.
    "content-security-policy": "default-src 'self'; img-src 'self' blob:; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "cross-origin-resource-policy": "same-origin",
}


class Guarded:
    """An ASGI application behind a token, which is the first part of every path: ``/TOKEN/...``.

    A page of another site that a browser has open must not reach it either. The host in the address must be this
    machine's own name for itself, so that no other name can be made to point here, and a request that names the page
    it comes from must name one of this server. The port may differ: people forward it by SSH.
    """

    def __init__(self, application: Application, token: str) -> None:
        self._application, self._token = application, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._application(scope, receive, send)
            return
        _, token, *rest = scope["path"].split("/", 2)
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        right = secrets.compare_digest(token.encode("utf-8", "replace"), self._token.encode())
        if not (right and rest and _is_from_here(headers)):
            await _refuse(scope, send)
            return
        path = f"/{rest[0]}"
        await self._application({**scope, "path": path, "raw_path": path.encode()}, receive, _with_headers(send))


def _is_from_here(headers: dict[str, str]) -> bool:
    """Whether the host is this machine by itself, and the page that asks, where one is named, of the same server."""
    host, origin = headers.get("host", ""), headers.get("origin")
    try:
        name = urlsplit(f"//{host}").hostname
        return name in _HOSTS and (origin is None or urlsplit(origin).netloc == host)
    except ValueError:  # no host and port
        return False


async def _refuse(scope: Scope, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})  # before it is accepted: HTTP's 403
        return
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": b"Open the whole address that the terminal shows.\n"})


def _with_headers(send: Send) -> Send:
    async def sending(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            own = [(name.encode(), value.encode()) for name, value in _HEADERS.items()]
            message = {**message, "headers": [*message.get("headers", []), *own]}
        await send(message)

    return sending


def listen(port: int) -> socket.socket:
    """A socket at a port of the loopback address; at any free one for port 0.

    Raises:
        ValueError: the port is taken, or may not be used.
    """
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        with suppress(OSError):
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # one that was left a moment ago is free
        listening.bind((ADDRESS, port))
        listening.listen()
    except (OSError, OverflowError) as error:
        listening.close()
        why = getattr(error, "strerror", None) or error
        raise ValueError(f"port {port} cannot be used ({why}): name another one, or 0 for any that is free") from None
    return listening


def serve(application: Application, listening: socket.socket, told: Callable[[str], None]) -> None:
    """Serve at a socket until Ctrl-C.

    Args:
        told: called with the address once it can be opened.
    """
    import uvicorn

    token = secrets.token_urlsafe(24)
    settings = uvicorn.Config(
        Guarded(application, token),
        log_level="warning",
        access_log=False,  # it would hold the token
        lifespan="off",
        ws="websockets-sansio",
        ws_max_size=1 << 16,
        server_header=False,
        timeout_graceful_shutdown=2,
    )
    server = uvicorn.Server(settings)
    told(f"http://{ADDRESS}:{listening.getsockname()[1]}/{token}/")
    with suppress(KeyboardInterrupt):
        server.run(sockets=[listening])
