"""Sealed packages: what was sealed comes out, under the same secrets alone, and no byte may differ."""

from __future__ import annotations

import hashlib
import hmac
import os
import struct
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from hypothesis import given
from hypothesis import strategies as st

from modelbuild.errors import ModelbuildError
from modelbuild.formats import sealed, sealed_keys
from modelbuild.formats.sealed_keys import Secrets, Sources
from tests.hypotheses import examples

KEY, EFUSE, FILE = bytes(range(32)), bytes(range(100, 132)), b"what the key file holds\n"
ONE = Secrets(KEY, FILE)
ONE_AND_EFUSE = Secrets(KEY, FILE, EFUSE)
TWO = Secrets(efuse_key=EFUSE)
EVERY = {"1": ONE, "1 with efuse": ONE_AND_EFUSE, "2": TWO}
UNOPENED = "the package cannot be opened: a key is wrong, or the file was changed"


def problem(data: bytes, secrets: Secrets) -> str:
    with pytest.raises(ModelbuildError) as raised:
        sealed.open_sealed(data, secrets)
    assert len(raised.value.problems) == 1
    return raised.value.problems[0].what


@examples(40)
@given(
    data=st.binary(min_size=1, max_size=300),
    key=st.binary(min_size=16, max_size=64),
    file=st.binary(min_size=1, max_size=50),
    efuse=st.none() | st.binary(min_size=1, max_size=64),
    name=st.from_regex(r"[a-z0-9_]{1,12}", fullmatch=True),
)
def test_what_was_sealed_comes_out(
    data: bytes, key: bytes, file: bytes, efuse: bytes | None, name: str
) -> None:
    secrets = Secrets(key, file, efuse)
    made = sealed.seal(data, secrets, name)
    assert len(made) == len(data) + sealed.HEADER_BYTES + sealed.TAG_BYTES
    assert made == sealed.seal(data, Secrets(key, file, efuse), name)
    assert sealed.open_sealed(made, secrets) == data
    header = sealed.read_header(made)
    assert (header.mode, header.format, header.length) == (1, name, len(data))
    assert header.needs == (("key", "key_file", "efuse_key") if efuse else ("key", "key_file"))


@pytest.mark.parametrize("secrets", EVERY.values(), ids=EVERY)
def test_every_altered_byte_is_refused(secrets: Secrets) -> None:
    made = sealed.seal(b"a small package", secrets, "nef")
    for place in range(len(made)):
        for bit in (0x01, 0x80):
            changed = bytearray(made)
            changed[place] ^= bit
            what = problem(bytes(changed), secrets)
            assert place < sealed.HEADER_BYTES or what == UNOPENED
    for size in range(len(made)):
        problem(made[:size], secrets)
    problem(made + b"\0", secrets)


def test_another_secret_does_not_open_it() -> None:
    data = b"0123456789" * 10
    made = sealed.seal(data, ONE, "nef")
    assert problem(made, Secrets(KEY[:-1] + b"\0", FILE)) == UNOPENED
    assert problem(made, Secrets(KEY, FILE + b"\n")) == UNOPENED
    assert problem(made, Secrets(KEY + b"\0", FILE)) == UNOPENED
    assert problem(made, Secrets(KEY[1:], FILE)) == UNOPENED
    both = sealed.seal(data, ONE_AND_EFUSE, "nef")
    assert problem(both, Secrets(KEY, FILE, KEY)) == UNOPENED
    assert problem(both, ONE) == "the file was encrypted in mode 1, with key, key file, efuse key"
    assert problem(made, TWO) == "the file was encrypted in mode 1, with key, key file"
    assert problem(sealed.seal(data, TWO, "nef"), ONE) == "the file was encrypted in mode 2, with efuse key"
    assert len({sealed.seal(data, one, "nef")[48:] for one in EVERY.values()}) == 3
    assert sealed.seal(data, ONE, "mpk")[48:] != made[48:]  # the header is authenticated


def test_the_page_describes_the_bytes() -> None:
    """Written from docs/format-encrypted.md alone."""
    data = b"plain"
    made = sealed.seal(data, ONE_AND_EFUSE, "nef")
    header = struct.pack("<8sHHBBBB", b"MBSEALED", 1, 48, 1, 0b111, 1, 1) + bytes(4)
    header += b"nef".ljust(12, b"\0") + struct.pack("<QQ", len(data), 0)
    assert made[:48] == header
    assert AESSIV(hkdf(1, b"AES-SIV key", 64)).decrypt(made[48:], [header]) == data
    assert sealed_keys.fingerprint(ONE_AND_EFUSE, 1) == hkdf(1, b"action key", 32).hex()


def hkdf(kdf: int, purpose: bytes, size: int, material: bytes | None = None) -> bytes:
    label = b"modelbuild sealed package, version 1"
    digest = hashlib.sha256(FILE).digest()
    if material is None:
        material = b"key:32:" + KEY + b"key_file:32:" + digest + b"efuse_key:32:" + EFUSE
    root = hmac.digest(label + b", mode 1", material, "sha256")
    info = label + b", kdf %d: " % kdf + purpose
    first = hmac.digest(root, info + b"\1", "sha256")
    return (first + hmac.digest(root, first + info + b"\2", "sha256"))[:size]


def test_short_keys_are_stretched() -> None:
    short = Secrets(bytes.fromhex("12345678"), FILE)
    made = sealed.seal(b"plain", short, "nef")
    assert (short.is_short, made[15], made[16:19]) == (True, 2, bytes((15, 8, 1)))
    assert sealed.open_sealed(made, short) == b"plain"
    digest = hashlib.sha256(FILE).digest()
    stretched = hashlib.scrypt(
        b"key:4:\x12\x34\x56\x78key_file:32:" + digest,
        salt=b"modelbuild sealed package, version 1, mode 1",
        n=1 << 15,
        r=8,
        p=1,
        dklen=64,
        maxmem=1 << 26,
    )
    key = hkdf(2, b"AES-SIV key", 64, stretched)
    assert AESSIV(key).decrypt(made[48:], [made[:48]]) == b"plain"
    assert not Secrets(b"1234", FILE, EFUSE).is_short


def test_fingerprints_change_with_every_secret_and_show_none() -> None:
    several = [*EVERY.values(), Secrets(KEY, FILE + b"x"), Secrets(KEY[:-1], FILE), Secrets(efuse_key=KEY)]
    found = [sealed_keys.fingerprint(one, one.mode) for one in several]
    assert len(set(found)) == len(several) and all(len(text) == 64 for text in found)
    assert sealed_keys.fingerprint(ONE, 1) == sealed_keys.fingerprint(Secrets(KEY, FILE), 1)
    assert KEY.hex() not in repr(ONE) and repr(ONE_AND_EFUSE) == "Secrets(efuse_key, key, key_file)"


def test_what_cannot_be_sealed() -> None:
    for data, secrets, what in (
        (b"", ONE, "there is nothing to encrypt"),
        (b"x", Secrets(KEY), "mode 1 needs `key_file`"),
        (b"x", Secrets(key_file=FILE), "mode 1 needs `key`"),
        (b"x", Secrets(), "mode 1 needs `key`"),
    ):
        with pytest.raises(ModelbuildError) as raised:
            sealed.seal(data, secrets, "nef")
        assert raised.value.problems[0].what == what


@pytest.mark.parametrize(
    ("mode", "names", "wrong"),
    [
        (1, "key key_file", []),
        (1, "key key_file efuse_key", []),
        (1, "key", ["mode 1 needs `key_file`"]),
        (1, "", ["mode 1 needs `key`", "mode 1 needs `key_file`"]),
        (1, "efuse_key", ["mode 1 needs `key`", "mode 1 needs `key_file`"]),
        (2, "efuse_key", []),
        (2, "", ["mode 2 needs `efuse_key`"]),
        (2, "key efuse_key", ["mode 2 takes no `key`"]),
        (2, "key_file efuse_key", ["mode 2 takes no `key_file`"]),
        (
            2,
            "key key_file",
            ["mode 2 needs `efuse_key`", "mode 2 takes no `key`", "mode 2 takes no `key_file`"],
        ),
    ],
)
def test_combinations(mode: int, names: str, wrong: list[str]) -> None:
    found = sealed_keys.wrong_combination(mode, frozenset(names.split()))
    assert [what for _, what in found] == wrong


@pytest.mark.parametrize("text", ["00ff10", "0x00FF10", "0X00ff10", " 00Ff10\n"])
def test_keys_are_hexadecimal(text: str) -> None:
    assert sealed_keys.from_environment("K", {"K": text}) == b"\x00\xff\x10"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "the environment has no key in K"),
        ("0xg1", "the key in K is not hexadecimal"),
        ("c0ffee!", "the key in K is not hexadecimal"),
        ("٠١", "the key in K is not hexadecimal"),
        ("c0ffe", "the key in K has an odd number of hex digits"),
        ("ab" * 513, "the key in K has more than 1024 hex digits"),
    ],
)
def test_what_is_no_key_is_not_shown(text: str, what: str) -> None:
    with pytest.raises(ModelbuildError) as raised:
        sealed_keys.from_environment("K", {"K": text} if text else {})
    assert raised.value.problems[0].what == what
    assert not text or text not in str(raised.value)


@pytest.mark.parametrize("text", ["env:K", "env:_a1"])
def test_names_of_the_environment(text: str) -> None:
    assert sealed_keys.environment_name(text) == text[4:]
    assert sealed_keys.environment_name(text + "-") is None
    assert sealed_keys.environment_name("0x12345678") is None


def test_key_files(tmp_path: Path) -> None:
    path = tmp_path / "enc.txt"
    path.write_bytes(FILE)
    for mode in (0o640, 0o604, 0o644, 0o620, 0o601):
        path.chmod(mode)
        assert refused(path) == "the key file is open to others"
    path.chmod(0o600)
    assert sealed_keys.from_file(path) == FILE
    link = tmp_path / "link"
    link.symlink_to(path)
    assert sealed_keys.from_file(link) == FILE
    path.write_bytes(bytes(sealed_keys.MAX_FILE_BYTES))
    assert len(sealed_keys.from_file(path)) == 1 << 20
    path.write_bytes(bytes(sealed_keys.MAX_FILE_BYTES + 1))
    assert refused(path) == "the key file has more than 1 MiB"
    path.write_bytes(b"")
    assert refused(path) == "the key file is empty"
    assert refused(tmp_path / "none") == "the key file cannot be read"
    assert refused(tmp_path) == "the key file is not a regular file"
    os.mkfifo(tmp_path / "pipe", 0o600)
    assert refused(tmp_path / "pipe") == "the key file is not a regular file"


def test_a_key_file_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "enc.txt"
    path.write_bytes(FILE)
    path.chmod(0o600)
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    assert refused(path) == "the key file belongs to another user"


def refused(path: Path) -> str:
    with pytest.raises(ModelbuildError) as raised:
        sealed_keys.from_file(path)
    assert raised.value.problems[0].advice
    return raised.value.problems[0].what


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(ModelbuildError) as raised:
        sealed_keys.read(Sources("A", str(tmp_path / "none"), "B"), {"A": "xyz"})
    assert [one.what for one in raised.value.problems] == [
        "the key in A is not hexadecimal",
        "the key file cannot be read",
        "the environment has no key in B",
    ]
