"""An https server on this machine that answers as a test tells it to, and remembers what it was asked."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.certificates import write_certificates

Answer = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class Server:
    """`answers` is path -> what to do; `asked` lists (path, headers) in order; `trusted` is the CA's file."""

    port: int
    trusted: Path
    answers: dict[str, Answer] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def url(self, path: str, user: str = "") -> str:
        """The address of `path`."""
        return f"https://{user}localhost:{self.port}{path}"

    def environment(self) -> dict[str, str]:
        """What a process needs to trust the server and to go to it directly."""
        return {"SSL_CERT_FILE": str(self.trusted), "no_proxy": "localhost", "https_proxy": ""}

    @property
    def paths(self) -> list[str]:
        """The paths asked for."""
        return [path for path, _ in self.asked]


def content(data: bytes, length: int | None = None) -> Answer:
    """Answers 200 with `data`, whose length may be told wrong (-1: not at all)."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        told = len(data) if length is None else length
        send(handler, 200, {} if told < 0 else {"Content-Length": str(told)}, data)

    return answer


def status(code: int, headers: Mapping[str, str] | None = None) -> Answer:
    """Answers with a code and headers."""
    return lambda handler: send(handler, code, {"Content-Length": "0", **(headers or {})}, b"")


def send(handler: BaseHTTPRequestHandler, code: int, headers: Mapping[str, str], data: bytes) -> None:
    """The whole answer."""
    handler.send_response(code, "\x1b[31mphrase")
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(data)


@contextmanager
def serving(folder: Path) -> Iterator[Server]:
    """A server with a certificate of its own authority, written to `folder`."""
    trusted, chain = write_certificates(folder)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            server.asked.append((self.path, dict(self.headers)))
            with suppress(OSError):  # who asked may be gone
                server.answers.get(self.path, status(404))(self)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    http = ThreadingHTTPServer(("localhost", 0), Handler)
    http.daemon_threads = True
    http.handle_error = lambda request, address: None  # type: ignore[method-assign,assignment]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    http.socket = context.wrap_socket(http.socket, server_side=True, do_handshake_on_connect=False)
    server = Server(http.server_address[1], trusted)
    thread = threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join()
