"""Files at `https://` addresses: streamed, held against their SHA-256, never named with a password."""

from __future__ import annotations

import base64
import hashlib
import http.client
import re
import socket
import ssl
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import IO, Any, Never
from urllib import error as urllib_error
from urllib import request as urllib_request
from urllib.parse import SplitResult, unquote, urljoin, urlsplit, urlunsplit

from modelbuild import __version__
from modelbuild.address import ELSEWHERE, mistake, shown
from modelbuild.errors import EXIT_FAILED, EXIT_USER, ModelbuildError

MAX_BYTES = 4 << 30
SILENCE = 60.0  # seconds without a byte; a slow transfer may take as long as it takes
_CHUNK = 1 << 20

Progress = Callable[[int, int], None]


def fetch(url: str, destination: Path, sha256: str, progress: Progress = lambda done, total: None) -> None:
    """Writes the file at `url`, whose digest must be `sha256`, to `destination`, which is removed again if
    anything is wrong. `progress` hears of bytes done and in all (0: not said).

    Redirects are followed to https only; proxies and certificates are those of the environment
    (`https_proxy`, `no_proxy`, `SSL_CERT_FILE`). Raises ModelbuildError, always `passing`, for nobody knows
    what the network does next: exit 1 where the file could not be had, 2 where it is another."""
    try:
        found = _download(url, destination, progress)
    except BaseException:
        destination.unlink(missing_ok=True)
        raise
    if found != sha256:
        destination.unlink()
        raise ModelbuildError(
            f"the file at {shown(url)} is another than its `sha256` says",
            why=f"its digest is {found}, the manifest demands {sha256}",
            advice="find the file that was meant, or write the new digest if the change is wanted",
            exit_code=EXIT_USER,
            passing=True,
        )


def _download(url: str, destination: Path, progress: Progress) -> str:
    """The digest of what was written to `destination`."""
    digest = hashlib.sha256()
    done = 0
    with _open(url) as response, destination.open("wb") as file:
        length = response.headers.get("Content-Length", "")
        total = int(length) if re.fullmatch(r"[0-9]{1,18}", length) else 0
        _check_size(url, total)
        for chunk in _chunks(url, response):
            done += len(chunk)
            _check_size(url, done)
            digest.update(chunk)
            file.write(chunk)
            progress(done, total)
    if done < total:
        raise _not_fetched(url, f"the connection ended after {done} of {total} bytes", "build again")
    return digest.hexdigest()


def _chunks(url: str, response: Any) -> Iterator[bytes]:
    try:
        while chunk := response.read1(_CHUNK):
            yield chunk
    except (OSError, http.client.HTTPException) as error:
        raise _not_fetched(url, *_reason(error)) from None


def _open(url: str) -> Any:
    """The response of the server."""
    try:
        return _request(url)
    except urllib_error.HTTPError as error:
        error.close()
        raise _not_fetched(url, *_status(error.code)) from None
    except urllib_error.URLError as error:
        raise _not_fetched(url, *_reason(error.reason)) from None
    except (OSError, UnicodeError, http.client.HTTPException) as error:
        raise _not_fetched(url, *_reason(error)) from None


def _request(url: str) -> Any:
    """The response. The opener holds what https needs: urllib's own would read `file:` and `ftp:` too."""
    parts = urlsplit(url)
    bare = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment=""))
    request = urllib_request.Request(bare, headers={"User-Agent": f"modelbuild/{__version__}"})
    if parts.username is not None:  # for this host alone: no redirect takes it along
        request.add_unredirected_header("Authorization", _credentials(parts))
    opener = urllib_request.OpenerDirector()
    for handler in (
        urllib_request.ProxyHandler(),
        urllib_request.HTTPSHandler(),
        urllib_request.HTTPDefaultErrorHandler(),
        urllib_request.HTTPErrorProcessor(),
        _HttpsRedirects(),
    ):
        opener.add_handler(handler)
    return opener.open(request, timeout=SILENCE)


def _credentials(parts: SplitResult) -> str:
    pair = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
    return "Basic " + base64.b64encode(pair.encode()).decode("ascii")


class _HttpsRedirects(urllib_request.HTTPRedirectHandler):
    """Refuses a redirect to anything but https, before urllib's own handling looks at the address."""

    def http_error_302(self, req: Any, fp: IO[bytes], code: int, msg: str, headers: Any) -> Any:
        target = headers.get("location") or headers.get("uri") or ""
        to = urljoin(req.full_url, target)
        if mistake(to) is not None:
            _refuse_redirect(req.full_url, to)
        return super().http_error_302(req, fp, code, msg, headers)

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


def _refuse_redirect(url: str, to: str) -> Never:
    raise _not_fetched(url, f"the server sends on to {shown(to)}, which is no https:// address", ELSEWHERE)


def _check_size(url: str, size: int) -> None:
    if size > MAX_BYTES:
        raise _not_fetched(url, f"it is larger than {MAX_BYTES >> 20} MiB", ELSEWHERE)


def _status(code: int) -> tuple[str, str]:
    try:
        phrase = f" {HTTPStatus(code).phrase}"
    except ValueError:
        phrase = ""
    if code in (401, 403, 407):
        return f"the server answers {code}{phrase}", "check that you may read it; " + ELSEWHERE
    if code in (404, 410):
        return f"the server answers {code}{phrase}", "correct the address"
    if 300 <= code < 400:
        return f"the server sends on in a circle or to nowhere ({code}{phrase})", "correct the address"
    return f"the server answers {code}{phrase}", "build again later"


def _reason(reason: object) -> tuple[str, str]:
    """(why, advice) of what went wrong before or between the server's answers."""
    if isinstance(reason, ssl.SSLCertVerificationError):
        why = f"the server's certificate is not trusted: {reason.verify_message}"
        return why, "name your organisation's certificates with SSL_CERT_FILE"
    if isinstance(reason, TimeoutError):
        return f"the server was silent for {SILENCE:g} s", "build again, or check the network and https_proxy"
    if isinstance(reason, socket.gaierror):
        return "the host is not found", "check the address, the network and https_proxy"
    if isinstance(reason, http.client.HTTPException) and not isinstance(reason, OSError):
        return "the server's answer is not HTTP, or breaks off", "build again, or check https_proxy"
    text = reason.strerror if isinstance(reason, OSError) and reason.strerror else str(reason)
    words = "".join(c if c.isprintable() else " " for c in text)[:200]
    return words or type(reason).__name__, "check the network and https_proxy, and build again"


def _not_fetched(url: str, why: str, advice: str) -> ModelbuildError:
    return ModelbuildError(
        f"cannot fetch {shown(url)}", why=why, advice=advice, exit_code=EXIT_FAILED, passing=True
    )
