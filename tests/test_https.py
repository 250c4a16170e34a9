"""Files at https addresses: what arrives, what is refused, what is said and what is never said."""

from __future__ import annotations

import base64
import hashlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelbuild import https
from modelbuild.errors import ModelbuildError
from tests.https_server import Server, content, serving, status

DATA = b"a model" * 40_000
DIGEST = hashlib.sha256(DATA).hexdigest()


@pytest.fixture(scope="module")
def one_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture
def server(one_server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    one_server.answers.clear()
    one_server.asked.clear()
    for name, value in one_server.environment().items():
        monkeypatch.setenv(name, value)
    return one_server


def refused(url: str, to: Path, sha256: str = DIGEST) -> ModelbuildError:
    """The error of a fetch, after which nothing is left."""
    with pytest.raises(ModelbuildError) as caught:
        https.fetch(url, to, sha256)
    assert not to.exists()
    assert caught.value.passing
    assert "\x1b" not in str(caught.value)
    return caught.value


def test_a_file_arrives_whole_and_tells_how_far_it_is(server: Server, tmp_path: Path) -> None:
    server.answers["/m.onnx"] = content(DATA)
    told: list[tuple[int, int]] = []
    https.fetch(server.url("/m.onnx"), tmp_path / "m", DIGEST, lambda done, total: told.append((done, total)))
    assert (tmp_path / "m").read_bytes() == DATA
    assert told[-1] == (len(DATA), len(DATA))
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_a_file_of_unknown_length_arrives(server: Server, tmp_path: Path) -> None:
    server.answers["/m"] = content(DATA, length=-1)
    https.fetch(server.url("/m"), tmp_path / "m", DIGEST)
    assert (tmp_path / "m").read_bytes() == DATA


def test_another_file_is_told_with_both_digests(server: Server, tmp_path: Path) -> None:
    server.answers["/m"] = content(b"another")
    error = refused(server.url("/m"), tmp_path / "m")
    assert error.exit_code == 2
    assert DIGEST in str(error)
    assert hashlib.sha256(b"another").hexdigest() in str(error)


def test_redirects_are_followed_to_https(server: Server, tmp_path: Path) -> None:
    server.answers |= {
        "/a": status(302, {"Location": "/b"}),
        "/b": status(308, {"Location": server.url("/c")}),
        "/c": content(DATA),
    }
    https.fetch(server.url("/a"), tmp_path / "m", DIGEST)
    assert server.paths == ["/a", "/b", "/c"]


@pytest.mark.parametrize("to", ["http://localhost:1/m", "file:///etc/hostname", "ftp://localhost/m"])
def test_redirects_to_anything_else_are_refused(server: Server, tmp_path: Path, to: str) -> None:
    server.answers["/a"] = status(302, {"Location": to})
    error = refused(server.url("/a"), tmp_path / "m")
    assert f"sends on to {to}, which is no https:// address" in str(error)
    assert error.exit_code == 1


def test_redirects_in_a_circle_end(server: Server, tmp_path: Path) -> None:
    server.answers["/a"] = status(302, {"Location": "/a"})
    assert "in a circle" in str(refused(server.url("/a"), tmp_path / "m"))
    assert len(server.asked) < 20


def test_passwords_go_to_the_host_and_into_no_message(server: Server, tmp_path: Path) -> None:
    server.answers |= {"/m": content(DATA), "/on": status(302, {"Location": "/m"})}
    https.fetch(server.url("/m", "me:se%20cret@"), tmp_path / "m", DIGEST)
    sent = server.asked[0][1]["Authorization"]
    assert base64.b64decode(sent.removeprefix("Basic ")) == b"me:se cret"
    assert "cret" not in server.asked[0][1]["Host"]
    https.fetch(server.url("/on", "me:secret@"), tmp_path / "m", DIGEST)
    assert "Authorization" not in server.asked[-1][1]
    for path in ("/gone?token=hush", "/x?token=hush"):
        text = str(refused(server.url(path, "me:secret@"), tmp_path / "n"))
        assert "secret" not in text and "hush" not in text and "me:" not in text
        assert f"localhost:{server.port}{path.partition('?')[0]}" in text


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (404, "404 Not Found"),
        (403, "403 Forbidden"),
        (500, "500 Internal Server Error"),
        (599, "answers 599"),
    ],
)
def test_a_servers_refusal_is_told_in_our_words(server: Server, tmp_path: Path, code: int, said: str) -> None:
    server.answers["/m"] = status(code)
    error = refused(server.url("/m"), tmp_path / "m")
    assert said in str(error)
    assert error.exit_code == 1


def test_a_file_that_breaks_off_is_no_file(server: Server, tmp_path: Path) -> None:
    server.answers["/m"] = content(DATA, length=len(DATA) + 1)
    assert f"ended after {len(DATA)} of {len(DATA) + 1} bytes" in str(
        refused(server.url("/m"), tmp_path / "m")
    )


def test_a_file_that_is_too_large_is_not_read(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(https, "MAX_BYTES", 1 << 20)
    server.answers |= {
        "/told": content(b"", length=(1 << 20) + 1),
        "/not": content(bytes(3 << 20), length=-1),
    }
    for path in server.answers:
        assert "larger than 1 MiB" in str(refused(server.url(path), tmp_path / "m"))


def test_a_silent_server_is_given_up(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(https, "SILENCE", 0.2)
    done = threading.Event()
    server.answers["/m"] = lambda handler: done.wait(20) and None
    try:
        assert "silent for 0.2 s" in str(refused(server.url("/m"), tmp_path / "m"))
    finally:
        done.set()


def test_a_server_that_nobody_vouches_for_is_not_trusted(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.answers["/m"] = content(DATA)
    monkeypatch.delenv("SSL_CERT_FILE")
    error = refused(server.url("/m"), tmp_path / "m")
    assert "certificate is not trusted" in str(error)
    assert "SSL_CERT_FILE" in str(error)
    assert server.asked == []


def test_a_name_that_the_certificate_does_not_have_is_not_trusted(server: Server, tmp_path: Path) -> None:
    url = server.url("/m").replace("localhost", "127.0.0.1")
    assert "certificate is not trusted" in str(refused(url, tmp_path / "m"))


def test_nobody_there_and_no_such_host(server: Server, tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("localhost", 0))
        url = f"https://localhost:{closed.getsockname()[1]}/m"
        assert "refused" in str(refused(url, tmp_path / "m")).lower()
    assert "cannot fetch" in str(refused("https://no-such-host.invalid/m", tmp_path / "m"))


def answering(data: bytes) -> tuple[int, list[bytes]]:
    """A plain server that answers once; its port, and what it will have read."""
    listener = socket.create_server(("localhost", 0))
    heard: list[bytes] = []

    def serve() -> None:
        connection, _ = listener.accept()
        with connection, listener:
            connection.settimeout(10)
            heard.append(connection.recv(4096))
            connection.sendall(data)

    threading.Thread(target=serve, daemon=True).start()
    return listener.getsockname()[1], heard


def test_a_server_that_speaks_no_tls_is_told(server: Server, tmp_path: Path) -> None:
    port, _ = answering(b"HTTP/1.0 200 OK\r\n\r\nplain")
    error = refused(f"https://localhost:{port}/m", tmp_path / "m")
    assert "cannot fetch" in str(error)


def test_the_proxy_of_the_environment_is_asked(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port, heard = answering(b"HTTP/1.0 407 Proxy Authentication Required\r\n\r\n")
    monkeypatch.setenv("https_proxy", f"http://us:hidden@localhost:{port}")
    monkeypatch.setenv("no_proxy", "")
    error = refused("https://models.example/m", tmp_path / "m")
    assert heard[0].startswith(b"CONNECT models.example:443 ")
    assert "hidden" not in str(error)
