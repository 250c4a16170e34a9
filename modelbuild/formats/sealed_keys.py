"""The secrets that packages are sealed with: from the environment and from guarded files, never shown."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from modelbuild.errors import ModelbuildError, Problem

STRONG_BYTES = 16  # a key of fewer bytes is stretched: all of them can be tried
MAX_KEY_BYTES = 512
MAX_FILE_BYTES = 1 << 20
HKDF = 1
SCRYPT = 2
SCRYPT_COST = (15, 8, 1)  # log2 of N, r, p: 32 MiB and about 0.1 s
_ENVIRONMENT = re.compile(r"env:([A-Za-z_][A-Za-z0-9_]*)")
_HEX_INSIDE = re.compile(r"[0-9a-fA-F]{16,}")
_LONG_HEX = re.compile(r"_*(?:0[xX])?[0-9a-fA-F]{16,}_*")
_HEX = re.compile(r"(?:0[xX])?([0-9a-fA-F]+)")
_LABEL = b"modelbuild sealed package, version 1"
_OF_OTHERS = stat.S_IRWXG | stat.S_IRWXO
# Which secrets each mode demands, and which it may have besides.
MODES: Mapping[int, tuple[frozenset[str], frozenset[str]]] = {
    1: (frozenset({"key", "key_file"}), frozenset({"efuse_key"})),
    2: (frozenset({"efuse_key"}), frozenset()),
}
SECRETS = ("key", "key_file", "efuse_key")
WRITTEN = {"key": "--key env:NAME", "key_file": "--key-file PATH", "efuse_key": "--efuse-key env:NAME"}
_OPTIONS = {"key": "--key", "key_file": "--key-file", "efuse_key": "--efuse-key"}


class Sources(NamedTuple):
    """Where the secrets come from: names of environment variables, and the path of a file. No secrets."""

    key: str | None = None
    key_file: str | None = None
    efuse_key: str | None = None

    @property
    def given(self) -> frozenset[str]:
        """Those that are there."""
        return frozenset(name for name in SECRETS if getattr(self, name) is not None)

    @property
    def variables(self) -> tuple[str, ...]:
        """The environment variables among them."""
        return tuple(name for name in (self.key, self.efuse_key) if name is not None)


class Secrets:
    """Secrets themselves. Neither `repr` nor `str` show them."""

    __slots__ = ("efuse_key", "key", "key_file")

    def __init__(
        self, key: bytes | None = None, key_file: bytes | None = None, efuse_key: bytes | None = None
    ) -> None:
        self.key = key
        self.key_file = key_file
        self.efuse_key = efuse_key

    def __repr__(self) -> str:
        return f"Secrets({', '.join(sorted(self.given))})"

    def __reduce__(self) -> str:
        raise TypeError("secrets are not pickled")

    @property
    def given(self) -> frozenset[str]:
        """The names of those that are there."""
        return frozenset(name for name in SECRETS if getattr(self, name) is not None)

    @property
    def mode(self) -> int:
        """The mode that they are for: 1 with a key or its file, 2 with the efuse key alone."""
        return 2 if self.given == {"efuse_key"} else 1

    @property
    def is_short(self) -> bool:
        """Whether each key has less than 128 bits. What a key file is worth nobody knows, so it counts 0."""
        return max(len(key) for key in (self.key or b"", self.efuse_key or b"")) < STRONG_BYTES


def wrong_combination(mode: int, given: frozenset[str]) -> list[tuple[str, str]]:
    """(name of a secret, what is wrong with it): those that the mode lacks or does not take."""
    demanded, besides = MODES[mode]
    lacks = [(name, f"mode {mode} needs `{name}`") for name in SECRETS if name in demanded - given]
    more = [
        (name, f"mode {mode} takes no `{name}`") for name in SECRETS if name in given - demanded - besides
    ]
    return lacks + more


def option(name: str) -> str:
    """The option of the command line that names a secret."""
    return _OPTIONS[name]


def environment_name(text: str) -> str | None:
    """NAME of `env:NAME`; None for anything else, which may be a secret and is not to be shown. A long name
    of hex digits alone is probably the key."""
    match = _ENVIRONMENT.fullmatch(text)
    return match[1] if match and not looks_like_a_key(match[1]) else None


def looks_like_a_key(text: str) -> bool:
    """Whether a text is nothing but hex digits, as many as only keys have."""
    return _LONG_HEX.fullmatch(text) is not None


def without_keys(text: str) -> str:
    """A text of others for a message, with what may be a key in it left out."""
    return _HEX_INSIDE.sub("…", text)


def is_there(sources: Sources) -> bool:
    """Whether something, right or wrong, is where each secret should be."""
    return all(os.environ.get(name, "").strip() for name in sources.variables) and (
        sources.key_file is None or os.path.lexists(sources.key_file)
    )


def from_environment(name: str, environment: Mapping[str, str] | None = None) -> bytes:
    """The bytes that the environment variable holds in hex digits. Errors never hold any of its text."""
    text = (os.environ if environment is None else environment).get(name, "").strip()
    if not text:
        raise ModelbuildError(
            f"the environment has no key in {name}",
            advice=f"set it to hex digits: export {name}=$(openssl rand -hex 32), and keep them",
        )
    match = _HEX.fullmatch(text)
    if match is None:
        raise ModelbuildError(
            f"the key in {name} is not hexadecimal",
            why="a key is hex digits, with or without 0x; what is there is not shown",
            advice=f"make one: export {name}=$(openssl rand -hex 32)",
        )
    digits = match[1]
    if len(digits) % 2:
        raise ModelbuildError(
            f"the key in {name} has an odd number of hex digits",
            why="two digits are a byte, and zeros in front count",
            advice="write the missing digit",
        )
    if len(digits) > 2 * MAX_KEY_BYTES:
        raise ModelbuildError(
            f"the key in {name} has more than {2 * MAX_KEY_BYTES} hex digits", advice="take a shorter one"
        )
    return bytes.fromhex(digits)


def from_file(path: str | Path) -> bytes:
    """The content of a key file: regular, the user's own, and closed to others; 1 byte to 1 MiB."""
    where = "" if looks_like_a_key(Path(path).name) else str(path)
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe would wait for ever
    except OSError as error:
        raise ModelbuildError(
            "the key file cannot be read",
            where=where,
            why=error.strerror or str(error),
            advice="name a file of your own",
        ) from None
    try:
        found = os.fstat(handle)  # of what was opened, whatever has its name by now
        if not stat.S_ISREG(found.st_mode):
            raise ModelbuildError(
                "the key file is not a regular file", where=where, advice="name a file of your own"
            )
        if found.st_mode & _OF_OTHERS:
            raise ModelbuildError(
                "the key file is open to others",
                where=where,
                why=f"its mode is {stat.S_IMODE(found.st_mode):04o}",
                advice="let nobody but its owner read it: chmod 600",
            )
        if hasattr(os, "geteuid") and found.st_uid != os.geteuid():
            raise ModelbuildError(
                "the key file belongs to another user",
                where=where,
                why="whoever owns it can change it",
                advice="copy it to a file of your own that nobody else may read",
            )
        with os.fdopen(handle, "rb", closefd=False) as file:
            data = file.read(MAX_FILE_BYTES + 1)
    finally:
        os.close(handle)
    if not 1 <= len(data) <= MAX_FILE_BYTES:
        what = "is empty" if not data else f"has more than {MAX_FILE_BYTES >> 20} MiB"
        raise ModelbuildError(
            f"the key file {what}", where=where, advice="name another file, of 1 byte to 1 MiB"
        )
    return data


def named(names: Mapping[str, str | None], base: Path | None = None) -> Sources:
    """{"key": "env:NAME", "key_file": PATH, "efuse_key": "env:NAME"} as sources; paths start at `base`.

    Errors: ModelbuildError for anything but `env:NAME`, which is not shown: it may be the key."""
    found: dict[str, str] = {}
    for name, text in names.items():
        if text is None:
            continue
        if name not in SECRETS:
            raise ModelbuildError(f"there is no secret `{name}`", advice=f"name {', '.join(SECRETS)}")
        if name == "key_file":
            found[name] = str((base or Path()) / text)
            continue
        variable = environment_name(text)
        if variable is None:
            raise ModelbuildError(
                f"{_OPTIONS[name]} takes `env:NAME`, the name of an environment variable",
                why="what was given is not shown; others see arguments of a command, and shells keep them",
                advice=f"export NAME and write {_OPTIONS[name]} env:NAME; if that was the key, make another",
            )
        found[name] = variable
    return Sources(**found)


def read(sources: Sources, environment: Mapping[str, str] | None = None) -> Secrets:
    """The secrets from where they are. Errors: ModelbuildError, all that is wrong at once."""
    found: dict[str, bytes] = {}
    problems: list[Problem] = []
    readers: dict[str, Callable[[str], bytes]] = {
        "key": lambda name: from_environment(name, environment),
        "key_file": from_file,
        "efuse_key": lambda name: from_environment(name, environment),
    }
    for name in SECRETS:
        source = getattr(sources, name)
        if source is not None:
            try:
                found[name] = readers[name](source)
            except ModelbuildError as error:
                problems += error.problems
    if problems:
        raise ModelbuildError.of(problems)
    return Secrets(**found)


def derived(secrets: Secrets, mode: int, kdf: int, purpose: bytes, size: int) -> bytes:
    """`size` bytes for one purpose: HKDF-SHA256 (RFC 5869) over the secrets, each behind its name and
    length; of short keys what scrypt (RFC 7914) makes of them. The file enters as its SHA-256."""
    file = None if secrets.key_file is None else hashlib.sha256(secrets.key_file).digest()
    parts = (("key", secrets.key), ("key_file", file), ("efuse_key", secrets.efuse_key))
    material = b"".join(_framed(name, part) for name, part in parts if part is not None)
    salt = b"%s, mode %d" % (_LABEL, mode)
    if kdf == SCRYPT:
        log_n, r, p = SCRYPT_COST
        material = hashlib.scrypt(
            material, salt=salt, n=1 << log_n, r=r, p=p, dklen=64, maxmem=(256 * r << log_n) + (1 << 20)
        )
    root = hmac.digest(salt, material, "sha256")
    return _expanded(root, b"%s, kdf %d: %s" % (_LABEL, kdf, purpose), size)


def kdf_for(secrets: Secrets) -> int:
    """The way of derivation that the secrets ask for."""
    return SCRYPT if secrets.is_short else HKDF


def fingerprint(secrets: Secrets, mode: int) -> str:
    """64 hex digits that change with the secrets and do not tell them: derived as the cipher's key is, for
    another purpose. To try a key against them costs what it costs to try it against the package."""
    return derived(secrets, mode, kdf_for(secrets), b"action key", 32).hex()


def _framed(name: str, part: bytes) -> bytes:
    return b"%s:%d:%s" % (name.encode(), len(part), part)


def _expanded(root: bytes, info: bytes, size: int) -> bytes:
    made, block = b"", b""
    for count in range(1, -(-size // 32) + 1):
        block = hmac.digest(root, block + info + bytes((count,)), "sha256")
        made += block
    return made[:size]
