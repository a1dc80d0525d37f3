"""Just enough of a W&B server on the loopback interface to log a run to, and to resume it; it can be ill, too."""

import gzip
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

FAKE_KEY = "0123456789" * 4


class WandbServer(ThreadingHTTPServer):
    """Keeps the history and the uploaded files of every run by its id.

    Set ``fault`` to have it answer with an error, with what no client understands, or not at all.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.rows: dict[str, list[dict[str, Any]]] = {}
        self.groups: dict[str, str | None] = {}
        self.uploads: list[str] = []
        self.fault: Literal["error", "nonsense", "silence"] | None = None
        self._stopped = threading.Event()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def wait_for_end(self) -> None:
        self._stopped.wait()

    def stop(self) -> None:
        self._stopped.set()
        self.shutdown()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """W&B drops connections when it leaves; that is none of our business."""


class _Handler(BaseHTTPRequestHandler):
    server: WandbServer
    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        self._body()
        self.server.uploads.append(self.path)
        self._reply({})

    def do_POST(self) -> None:
        body = self._body()
        if self.path == "/graphql":
            query = json.loads(body)
            self._reply({"data": self._answer(query.get("operationName"), query.get("variables") or {})})
            return
        if self.path.endswith("/file_stream"):
            run_id = self.path.split("/")[-2]
            history = json.loads(body).get("files", {}).get("wandb-history.jsonl", {"offset": 0, "content": []})
            stored = self.server.rows.setdefault(run_id, [])
            stored[history["offset"] :] = [json.loads(row) for row in history["content"]] or stored[history["offset"] :]
        self._reply({})

    def _answer(self, operation: str | None, variables: dict[str, Any]) -> dict[str, Any]:
        project = {"id": "project", "name": "rlsuite", "entity": {"id": "entity", "name": "someone"}}
        run_id = variables.get("name")
        match operation:
            case "UpsertBucket":
                if run_id is not None and variables.get("displayName"):
                    self.server.groups[run_id] = variables.get("groupName")
                bucket = {"id": "bucket", "name": run_id, "displayName": "", "config": "{}", "project": project}
                return {"upsertBucket": {"bucket": bucket, "inserted": True}}
            case "CreateRunFiles":
                files = [{"name": name, "uploadUrl": f"{self.server.url}/{name}"} for name in variables["files"]]
                return {"createRunFiles": {"runID": "bucket", "uploadHeaders": [], "files": files}}
            case "RunResumeStatus" if run_id in self.server.rows:
                rows = self.server.rows[run_id]
                bucket = {
                    "id": "bucket",
                    "name": run_id,
                    "historyLineCount": len(rows),
                    "eventsLineCount": 0,
                    "logLineCount": 0,
                    "historyTail": json.dumps([json.dumps(rows[-1])]),
                    "eventsTail": "[]",
                    "summaryMetrics": json.dumps(rows[-1]),
                    "config": "{}",
                    "wandbConfig": '{"t": 1}',  # W&B takes a run without it for one that never began
                    "tags": [],
                }
                return {"model": project | {"bucket": bucket}}
        return {"model": None, "viewer": {"id": "viewer", "entity": "someone", "username": "someone", "flags": "{}"}}

    def _body(self) -> bytes:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        return gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body

    def _reply(self, answer: dict[str, Any]) -> None:
        body = json.dumps(answer).encode() if self.server.fault != "nonsense" else b"<html>Please log in"
        if self.server.fault == "silence":
            self.server.wait_for_end()
        self.send_response(500 if self.server.fault == "error" else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Quiet."""
