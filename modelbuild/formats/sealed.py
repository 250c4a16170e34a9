"""Sealed packages: any package file, encrypted and authenticated with AES-SIV (docs/format-encrypted.md)."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelbuild.errors import ModelbuildError
from modelbuild.formats import sealed_keys
from modelbuild.formats.sealed_keys import HKDF, MODES, SCRYPT, SCRYPT_COST, SECRETS, Secrets

if TYPE_CHECKING:  # only who encrypts or decrypts loads it
    from cryptography.hazmat.primitives.ciphers.aead import AESSIV

MAGIC = b"MBSEALED"
SUFFIX = ".enc"
VERSION = 1
AES_SIV = 1
HEADER_BYTES = 48
MODE_AT = 12
TAG_BYTES = 16
MAX_BYTES = (1 << 31) - 64  # what the cipher takes at once
_LAYOUT = struct.Struct("<8sHHBBBBBBBB12sQQ")
_FORMAT = re.compile(rb"[a-z0-9_]{1,12}\0*")
_CIPHER_KEY = b"AES-SIV key"
KDFS = {HKDF: "HKDF-SHA256", SCRYPT: "scrypt, HKDF-SHA256"}
_COSTS = {HKDF: (0, 0, 0), SCRYPT: SCRYPT_COST}


@dataclass(frozen=True)
class Header:
    """What is known of a sealed file without its keys. `format` is that of the package inside ("nef"),
    `length` its bytes, `needs` the names of the secrets that it was sealed with."""

    mode: int
    needs: tuple[str, ...]
    kdf: int
    format: str
    length: int
    version: int = VERSION
    algorithm: int = AES_SIV

    def encoded(self) -> bytes:
        """The 48 bytes at the start of the file, all of them authenticated."""
        flags = sum(1 << index for index, name in enumerate(SECRETS) if name in self.needs)
        return _LAYOUT.pack(
            MAGIC,
            self.version,
            HEADER_BYTES,
            self.mode,
            flags,
            self.algorithm,
            self.kdf,
            *_COSTS[self.kdf],
            0,
            self.format.encode(),
            self.length,
            0,
        )


def is_sealed(data: bytes) -> bool:
    """Whether the data begins as a sealed file does."""
    return data[: len(MAGIC)] == MAGIC


def seal(data: bytes, secrets: Secrets, format: str) -> bytes:
    """The file that holds `data`, a package of `format`. Equal data and secrets give equal bytes.

    Errors: ModelbuildError for secrets that are no mode's, for no data, and for 2 GiB or more."""
    mode = secrets.mode
    for _, what in sealed_keys.wrong_combination(mode, secrets.given):
        raise ModelbuildError(what)
    if not 0 < len(data) <= MAX_BYTES:
        what = "there is nothing to encrypt" if not data else "more than 2 GiB cannot be encrypted at once"
        raise ModelbuildError(what)
    needs = tuple(name for name in SECRETS if name in secrets.given)
    kdf = sealed_keys.kdf_for(secrets)
    if _FORMAT.fullmatch(format.encode()) is None:
        raise ModelbuildError(f"`{format}` is no name of a format", exit_code=1)
    header = Header(mode, needs, kdf, format, len(data)).encoded()
    return header + _cipher(secrets, mode, kdf).encrypt(data, [header])


def open_sealed(data: bytes, secrets: Secrets) -> bytes:
    """The package that was sealed. Errors: ModelbuildError for a header that is none, for secrets of another
    mode, and one and the same for wrong secrets and for a byte that is not what was written."""
    header = read_header(data)
    if secrets.given != set(header.needs):
        raise ModelbuildError(
            f"the file was encrypted in mode {header.mode}, with {_listed(header.needs)}",
            why=f"given is {_listed(sorted(secrets.given)) if secrets.given else 'none of these'}",
            advice=how_to_open(header),
        )
    return _opened(data, secrets, header)


def _opened(data: bytes, secrets: Secrets, header: Header) -> bytes:
    from cryptography.exceptions import InvalidTag

    try:
        return _cipher(secrets, header.mode, header.kdf).decrypt(data[HEADER_BYTES:], [data[:HEADER_BYTES]])
    except InvalidTag:
        raise ModelbuildError(
            "the package cannot be opened: a key is wrong, or the file was changed",
            why="its authentication fails, which does not tell one from the other",
            advice="check the keys, and copy the file again",
        ) from None


def read_header(data: bytes) -> Header:
    """What the first bytes say. Errors: ModelbuildError with the offset."""
    if not is_sealed(data):
        raise _damaged("the magic number", 0)
    if len(data) < HEADER_BYTES + TAG_BYTES:
        raise ModelbuildError(
            "the encrypted package is truncated", where=f"offset {len(data)}", advice="copy the file again"
        )
    fields = _LAYOUT.unpack_from(data)
    version, size, mode, flags, algorithm, kdf, *costs, spare, name, length, reserved = fields[1:]
    if version != VERSION:
        raise ModelbuildError(
            f"version {version} of encrypted packages is not known",
            where="offset 8",
            advice="update modelbuild",
        )
    needs = tuple(secret for index, secret in enumerate(SECRETS) if flags >> index & 1)
    wrong = (
        ("the size of the header", 10, size != HEADER_BYTES),
        ("the mode", MODE_AT, mode not in MODES),
        ("the set of secrets", 13, flags >> len(SECRETS) or mode not in MODES or _wrong(mode, needs)),
        ("the algorithm", 14, algorithm != AES_SIV),
        ("the derivation of keys", 15, kdf not in KDFS),
        ("the cost of the derivation", 16, tuple(costs) != _COSTS.get(kdf)),
        ("a reserved byte", 19, spare != 0),
        ("the format", 20, _FORMAT.fullmatch(name) is None),
        ("the length", 32, length != len(data) - HEADER_BYTES - TAG_BYTES or not length),
        ("a reserved byte", 40, reserved != 0),
    )
    for what, offset, is_wrong in wrong:
        if is_wrong:
            raise _damaged(what, offset)
    return Header(mode, needs, kdf, name.rstrip(b"\0").decode(), length)


def how_to_open(header: Header) -> str:
    """The options that name what the file was sealed with."""
    return f"name them: {' '.join(sealed_keys.WRITTEN[name] for name in header.needs)}"


def _wrong(mode: int, needs: tuple[str, ...]) -> bool:
    return bool(sealed_keys.wrong_combination(mode, frozenset(needs)))


def _listed(names: tuple[str, ...] | list[str]) -> str:
    return ", ".join(name.replace("_", " ") for name in names)


def _damaged(what: str, offset: int) -> ModelbuildError:
    return ModelbuildError(
        f"no encrypted package: {what} is wrong",
        where=f"offset {offset}",
        advice="copy the file again",
    )


def _cipher(secrets: Secrets, mode: int, kdf: int) -> AESSIV:
    from cryptography.hazmat.primitives.ciphers.aead import AESSIV

    return AESSIV(sealed_keys.derived(secrets, mode, kdf, _CIPHER_KEY, 64))
