"""The web application of a run: its page, and a session for each page that is open."""

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import anyio
import anyio.from_thread
import anyio.to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket, WebSocketDisconnect

from agents.runs.browser.messages import text
from agents.runs.browser.session import Command, FigureSession, Send, Session

PAGE = Path(__file__).with_name("page")

_MOST_PAGES = 8  # each has an environment and an agent of its own

MakeSession = Callable[[Send], Session | FigureSession]


def application(folder: Path, make_session: MakeSession) -> Starlette:
    """The page of a run's folder at ``/``, with a session at ``/live`` for each time that it is open."""
    pages = 0

    async def live(socket: WebSocket) -> None:
        nonlocal pages
        await socket.accept()
        if pages == _MOST_PAGES:
            await socket.send_text(text({"kind": "problem", "text": f"{_MOST_PAGES} pages are open: close one"}))
            await socket.close()
            return
        pages += 1
        try:
            await _attend(socket, make_session)
        finally:
            pages -= 1

    def figure(request: Request) -> Response:
        path = folder / request.path_params["name"]
        if path not in folder.glob("*.png"):
            raise HTTPException(404)
        return FileResponse(path)

    return Starlette(
        routes=[
            WebSocketRoute("/live", live),
            Route("/figures/{name}", figure),
            Mount("/", StaticFiles(directory=PAGE, html=True)),
        ]
    )


class _PageGoneError(Exception):
    """The page that a message was for is closed."""


async def _attend(socket: WebSocket, make_session: MakeSession) -> None:
    """Run a session in a thread of its own, for simulators wait for nobody and some draw in one thread only."""

    def send(message: str | bytes) -> None:
        try:
            if isinstance(message, str):
                anyio.from_thread.run(socket.send_text, message)
            else:
                anyio.from_thread.run(socket.send_bytes, message)
        except (WebSocketDisconnect, RuntimeError) as error:  # Starlette's, of a socket that is closed
            raise _PageGoneError from error

    session = make_session(send)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_listen, socket, session.commands.put)
        with suppress(_PageGoneError):
            await anyio.to_thread.run_sync(session.show)
        tasks.cancel_scope.cancel()


async def _listen(socket: WebSocket, put: Callable[[Command], None]) -> None:
    with suppress(WebSocketDisconnect):
        while True:
            try:
                command = json.loads(await socket.receive_text(), parse_constant=_refuse)
            except (ValueError, KeyError):  # no JSON, or no text
                continue
            if isinstance(command, dict):
                put(command)
    put(None)


def _refuse(constant: str) -> None:
    """Raise ``ValueError`` for NaN and infinities, which Python's parser takes although JSON has none."""
    raise ValueError(f"{constant} is no JSON")
