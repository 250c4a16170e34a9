"""Addresses of files on the network: what is wrong with one, and how it may be printed. Fetches nothing."""

from __future__ import annotations

import re
from urllib.parse import urlsplit, urlunsplit

ELSEWHERE = "fetch the file by other means and name its path"
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


def is_address(text: str) -> bool:
    """Whether this is an address of any scheme rather than a path."""
    return _SCHEME.match(text) is not None


def shown(url: str) -> str:
    """The address as it may be printed: user, password and query stand for secrets too often."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "the address"
    query = "…" if parts.query else ""
    return urlunsplit((parts.scheme, f"{parts.hostname or ''}{port}", parts.path, query, ""))


def file_name(url: str) -> str:
    """The last part of the address's path: the file's name there, which says by its suffix what it is."""
    return urlsplit(url).path.rpartition("/")[2]


def how_to_digest(url: str) -> str:
    """A command that prints the digest of what is there."""
    return f"curl -L {shown(url)} | sha256sum"


def mistake(url: str) -> tuple[str, str] | None:
    """(what is wrong, advice) of an address that nothing can be fetched from; None if it is well formed."""
    scheme = _SCHEME.match(url)
    if scheme is None or scheme[1].lower() != "https":
        found = f"`{scheme[1].lower()}://`" if scheme else "none"
        return (
            f"expected an https:// address, found {found}",
            f"what is not encrypted is not fetched: use https, or {ELSEWHERE}",
        )
    try:
        parts = urlsplit(url)
        usable = bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or not re.fullmatch(r"[!-~]+", url):
        return "this is no address", "write https://HOST/PATH; a blank in it is %20, others likewise"
    return None
