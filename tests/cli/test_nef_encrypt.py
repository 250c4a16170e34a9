"""`modelbuild nef encrypt` and `decrypt`: any package, there and back, and no key in an argument."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from modelbuild.formats import mpk, sealed
from modelbuild.formats.sealed_keys import Secrets
from tests.cli.conftest import Command
from tests.cli.test_documented import SECTIONS, form, holds
from tests.formats import mpk_sources, vendor_nef
from tests.formats.nef_sources import build, source

KEY, EFUSE = "0x00112233445566778899aabbccddeeff", "A0" * 32
WITH_1 = ("--key", "env:MB_K", "--key-file", "enc.txt")
WITH_2 = ("--efuse-key", "env:MB_E")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with packages of several kinds, one of a vendor's among them, and a key file."""
    (tmp_path / "a.nef").write_bytes(build("720", "flatbuffer", 0x80000000, source(0)))
    setup = vendor_nef.setup_flatbuffer("720", 2)
    (tmp_path / "vendor.nef").write_bytes(vendor_nef.simple("720", setup, 0x80000000, (999,)))
    (tmp_path / "a_mpk.tar.gz").write_bytes(mpk.build(mpk_sources.source()))
    (tmp_path / "enc.txt").write_bytes(b"file")
    (tmp_path / "enc.txt").chmod(0o600)
    monkeypatch.setenv("MB_K", KEY)
    monkeypatch.setenv("MB_E", EFUSE)
    return tmp_path


@pytest.mark.parametrize(("name", "kind"), [("a.nef", "nef"), ("vendor.nef", "nef"), ("a_mpk.tar.gz", "mpk")])
@pytest.mark.parametrize(("mode", "keys"), [("1", WITH_1), ("1", (*WITH_1, *WITH_2)), ("2", WITH_2)])
def test_there_and_back(
    here: Path, command: Command, name: str, kind: str, mode: str, keys: tuple[str, ...]
) -> None:
    told = command(here, "nef", "encrypt", name, "-o", "x.enc", "--mode", mode, *keys, "--json")
    assert (told.code, told.json["mode"], told.json["format"]) == (0, int(mode), kind)
    promised = re.search(r"`decrypt` `(\{.*?\})`[;.]", SECTIONS["nef"].partition("JSON: ")[2])
    assert promised is not None
    assert holds(told.json, form(promised[1])) == []  # type: ignore[arg-type]
    data = (here / name).read_bytes()
    assert sealed.read_header((here / "x.enc").read_bytes()).length == len(data)
    assert command(here, "nef", "encrypt", name, "-o", "y.enc", *keys).code == 0
    assert (here / "y.enc").read_bytes() == (here / "x.enc").read_bytes()
    assert (
        "note: modelbuild alone opens this file"
        in command(here, "nef", "encrypt", name, "-o", "y.enc", *keys, "-q").err
    )
    back = command(here, "nef", "decrypt", "x.enc", "-o", "back", *keys, "-q")
    assert back.code == 0
    assert ("back is for modelbuild's simulator" in back.err) == (name != "vendor.nef")
    assert (here / "back").read_bytes() == data
    shown = command(here, "inspect", "x.enc")
    assert shown.code == 0 and f"mode: {mode}" in shown.lines and "encrypted" in shown.out


@pytest.mark.parametrize(
    ("words", "what"),
    [
        ("encrypt a.nef -o x --mode 1 --key env:MB_K", "mode 1 needs --key-file"),
        ("encrypt a.nef -o x --mode 1 --key-file enc.txt", "mode 1 needs --key"),
        ("encrypt a.nef -o x --mode 2", "mode 2 needs --efuse-key"),
        ("encrypt a.nef -o x --mode 2 --efuse-key env:MB_E --key env:MB_K", "mode 2 takes no --key"),
        ("encrypt a.nef -o x", "of mode 1: --key env:NAME --key-file PATH, or of mode 2: --efuse-key env:N"),
        ("encrypt a.nef -o x.nef --efuse-key env:MB_E", "x.nef is no name for an encrypted package"),
        ("encrypt cut.nef -o x --efuse-key env:MB_E", "cut.nef is damaged: checksums do not agree"),
        ("encrypt none -o x --efuse-key env:MB_E", "none is not there"),
        ("encrypt a.nef -o x --efuse-key c0ffee00", "--efuse-key takes `env:NAME`"),
        ("encrypt a.nef -o x --efuse-key env:NONE_OF_IT", "the environment has no key in NONE_OF_IT"),
        ("encrypt enc.txt -o x --efuse-key env:MB_E", "enc.txt is no package"),
        ("encrypt a -o a --efuse-key env:MB_E", "overwrite the file that is read"),
        ("encrypt a.nef -o vendor --efuse-key env:MB_E", "overwrite a file with a vendor's programs"),
        ("encrypt a.nef -o enc.txt --efuse-key env:MB_E", "overwrite a file that modelbuild has not"),
        ("decrypt sealed.enc -o other.enc --efuse-key env:MB_E", "overwrite an encrypted package"),
        ("encrypt a.nef --efuse-key env:MB_E", "-o is missing"),
        ("encrypt sealed.enc -o x --efuse-key env:MB_E", "sealed.enc is encrypted already"),
        ("decrypt a.nef -o x --efuse-key env:MB_E", "a.nef is not encrypted by modelbuild"),
        ("decrypt sealed.enc -o x", "the package opens with its keys only"),
        ("decrypt sealed.enc -o x --efuse-key env:MB_K", "the package cannot be opened"),
        ("decrypt sealed.enc -o x --key env:MB_K", "the file was encrypted in mode 2, with efuse key"),
        ("decrypt sealed.enc -o x --efuse-key env:MB_E --mode 2", "--mode does not go with `nef decrypt`"),
        ("combine a.nef -o x --key env:MB_K", "--key does not go with `nef combine`"),
        ("combine a.nef sealed.enc -o x", "sealed.enc is encrypted"),
    ],
)
def test_what_is_refused(here: Path, command: Command, words: str, what: str) -> None:
    assert command(here, "nef", "encrypt", "a.nef", "-o", "sealed.enc", *WITH_2).code == 0
    data = sealed.seal(b"other", Secrets(efuse_key=bytes(16)), "nef")
    (here / "other.enc").write_bytes(data)
    for name in ("a", "vendor"):
        (here / name).write_bytes((here / f"{name}.nef").read_bytes())
    damaged = bytearray((here / "a.nef").read_bytes())
    damaged[-1] ^= 1
    (here / "cut.nef").write_bytes(damaged)
    said = command(here, "nef", *words.split())
    assert said.code == 2 and what in said.err and "do:" in said.err
    assert (here / "other.enc").read_bytes() == data
    assert not (here / "x").exists()
    assert "c0ffee00" not in said.err and EFUSE not in said.err and KEY[2:] not in said.err


def test_a_short_key_is_told(here: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MB_K", "0x12345678")
    said = command(here, "nef", "encrypt", "a.nef", "-o", "x.enc", *WITH_1)
    assert said.code == 0 and "note: the key has less than 128 bits" in said.err
    assert command(here, "nef", "decrypt", "x.enc", "-o", "y", *WITH_1).code == 0
    assert (here / "y").read_bytes() == (here / "a.nef").read_bytes()


def test_keys_are_for_encrypted_files(here: Path, command: Command) -> None:
    said = command(here, "run", "a.nef", "--input", "x.npy", *WITH_2)
    assert said.code == 2 and "this file is not encrypted" in said.err
    said = command(here, "compare", "a.nef", "vendor.nef", "--input", "x.npy", *WITH_2)
    assert said.code == 2 and "keys are for an encrypted package" in said.err


def test_folders_take_the_files_under_their_names(here: Path, command: Command) -> None:
    said = command(here, "nef", "encrypt", "a.nef", "-o", "sealed/", *WITH_2, "--json")
    assert said.json["path"] == str(here / "sealed/a.nef.enc")
    (here / "open").mkdir()
    said = command(here, "nef", "decrypt", "sealed/a.nef.enc", "-o", "open", *WITH_2, "--json")
    assert said.json["path"] == str(here / "open/a.nef") and said.json["silicon"] is False
    assert (here / "open/a.nef").read_bytes() == (here / "a.nef").read_bytes()


@pytest.mark.parametrize("offset", [9, 13, 14, 33])
def test_a_damaged_header_is_told_with_the_file(here: Path, command: Command, offset: int) -> None:
    assert command(here, "nef", "encrypt", "a.nef", "-o", "x.enc", *WITH_2).code == 0
    data = bytearray((here / "x.enc").read_bytes())
    data[offset] ^= 0x55
    (here / "x.enc").write_bytes(data)
    for words in (("nef", "decrypt", "x.enc", "-o", "y"), ("run", "x.enc", "--input", "x.npy")):
        said = command(here, *words, *WITH_2)
        assert said.code == 2 and said.err.startswith(f"error: {here / 'x.enc'}: offset "), said.err
        assert "the secrets is" not in said.err and "do:" in said.err
