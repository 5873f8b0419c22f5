"""A receiver that answers with all that it was sent, as a careless one might."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from tests.security.sinks import ADDRESS, NAME


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        told = f"No permission for {self.headers['Authorization']} and {ADDRESS}: {body.decode()} {self.headers}"
        good = b":104012" in body
        answer = (
            b""
            if good
            else json.dumps({"status": 422, "code": NAME[:7], "message": told}).encode()
        )
        self.send_response(201 if good else 422)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *args: Any) -> None:
        pass


class Echo(ThreadingHTTPServer):
    """Accepts events of the rule 104012 with 201, and rejects all others at length. Used as a context."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self.shutdown()
        self.server_close()
