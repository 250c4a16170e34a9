"""A certificate authority and a server's certificate, made on the spot with nothing but integers.

Tests of https need a server that is trusted for a reason, and no package or tool that may be absent. The
curve is P-256, the signatures ECDSA with SHA-256 (FIPS 186-5), the encoding DER (X.690), the fields RFC 5280.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from dataclasses import dataclass
from pathlib import Path

P = 2**256 - 2**224 + 2**192 + 2**96 - 1
A = P - 3
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
G = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)
Point = tuple[int, int]


def _add(first: Point | None, second: Point | None) -> Point | None:
    if first is None or second is None:
        return first or second
    (x, y), (u, v) = first, second
    if x == u and (y + v) % P == 0:
        return None
    slope = (3 * x * x + A) * pow(2 * y, -1, P) if first == second else (v - y) * pow(u - x, -1, P)
    found = (slope * slope - x - u) % P
    return found, (slope * (x - found) - y) % P


def _times(factor: int, point: Point) -> Point:
    total: Point | None = None
    step: Point | None = point
    while factor:
        if factor & 1:
            total = _add(total, step)
        step = _add(step, step)
        factor >>= 1
    assert total is not None
    return total


def _der(tag: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    size = len(content)
    if size < 128:
        return bytes([tag, size]) + content
    digits = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 128 | len(digits)]) + digits + content


def _sequence(*parts: bytes) -> bytes:
    return _der(0x30, *parts)


def _integer(value: int) -> bytes:
    return _der(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def _oid(text: str) -> bytes:
    first, second, *rest = map(int, text.split("."))
    content = bytes([40 * first + second])
    for number in rest:
        groups = [number & 127]
        while number := number >> 7:
            groups.append(128 | number & 127)
        content += bytes(reversed(groups))
    return _der(0x06, content)


ECDSA_SHA256 = _sequence(_oid("1.2.840.10045.4.3.2"))
EC_P256 = _sequence(_oid("1.2.840.10045.2.1"), _oid("1.2.840.10045.3.1.7"))


def _name(common: str) -> bytes:
    return _sequence(_der(0x31, _sequence(_oid("2.5.4.3"), _der(0x0C, common.encode()))))


def _extension(oid: str, value: bytes, critical: bool = False) -> bytes:
    return _sequence(_oid(oid), *([_der(0x01, b"\xff")] if critical else []), _der(0x04, value))


@dataclass(frozen=True)
class Key:
    """A private key and its point."""

    secret: int
    point: Point

    @property
    def encoded(self) -> bytes:
        """The point, uncompressed."""
        return b"\x04" + self.point[0].to_bytes(32, "big") + self.point[1].to_bytes(32, "big")

    @property
    def identifier(self) -> bytes:
        """The key identifier of RFC 5280, 4.2.1.2."""
        return hashlib.sha1(self.encoded).digest()

    def sign(self, data: bytes) -> bytes:
        """An ECDSA signature, in DER."""
        digest = int.from_bytes(hashlib.sha256(data).digest(), "big")
        nonce = secrets.randbelow(N - 1) + 1
        r = _times(nonce, G)[0] % N
        return _sequence(_integer(r), _integer(pow(nonce, -1, N) * (digest + r * self.secret) % N))

    def pem(self) -> str:
        """The private key as SEC 1 has it."""
        body = _sequence(
            _integer(1),
            _der(0x04, self.secret.to_bytes(32, "big")),
            _der(0xA0, _oid("1.2.840.10045.3.1.7")),
            _der(0xA1, _der(0x03, b"\0", self.encoded)),
        )
        return _pem("EC PRIVATE KEY", body)


def make_key() -> Key:
    """A new key."""
    secret = secrets.randbelow(N - 1) + 1
    return Key(secret, _times(secret, G))


def _pem(kind: str, body: bytes) -> str:
    text = base64.encodebytes(body).decode("ascii")
    return f"-----BEGIN {kind}-----\n{text}-----END {kind}-----\n"


def _certificate(subject: str, key: Key, issuer: str, authority: Key, extensions: list[bytes]) -> str:
    body = _sequence(
        _der(0xA0, _integer(2)),
        _integer(secrets.randbelow(2**63) + 1),
        ECDSA_SHA256,
        _name(issuer),
        _sequence(_der(0x17, b"200101000000Z"), _der(0x17, b"491231235959Z")),
        _name(subject),
        _sequence(EC_P256, _der(0x03, b"\0", key.encoded)),
        _der(0xA3, _sequence(*extensions)),
    )
    return _pem("CERTIFICATE", _sequence(body, ECDSA_SHA256, _der(0x03, b"\0", authority.sign(body))))


def write_certificates(folder: Path) -> tuple[Path, Path]:
    """(the authority's certificate, the certificate and key of a server on `localhost`), both PEM files."""
    authority, server = make_key(), make_key()
    of_authority = [
        _extension("2.5.29.19", _sequence(_der(0x01, b"\xff")), critical=True),  # basic constraints: CA
        _extension("2.5.29.15", _der(0x03, b"\x02\x04"), critical=True),  # key usage: signs certificates
        _extension("2.5.29.14", _der(0x04, authority.identifier)),
    ]
    of_server = [
        _extension("2.5.29.19", _sequence(), critical=True),
        _extension("2.5.29.17", _sequence(_der(0x82, b"localhost"))),  # the names it stands for
        _extension("2.5.29.14", _der(0x04, server.identifier)),
        _extension("2.5.29.35", _sequence(_der(0x80, authority.identifier))),
    ]
    trusted, chain = folder / "authority.pem", folder / "server.pem"
    trusted.write_text(_certificate("test authority", authority, "test authority", authority, of_authority))
    chain.write_text(_certificate("localhost", server, "test authority", authority, of_server) + server.pem())
    return trusted, chain
