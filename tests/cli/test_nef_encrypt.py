"""`modelbuild nef encrypt` and `decrypt`: any package, there and back, and no key in an argument."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from modelbuild.formats import mpk, sealed
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
    assert command(here, "nef", "decrypt", "x.enc", "-o", "back", *keys).code == 0
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
        ("encrypt a.nef -o x", "mode 1 needs --key"),
        ("encrypt a.nef -o x --efuse-key c0ffee00", "--efuse-key takes `env:NAME`"),
        ("encrypt a.nef -o x --efuse-key env:NONE_OF_IT", "the environment has no key in NONE_OF_IT"),
        ("encrypt enc.txt -o x --efuse-key env:MB_E", "enc.txt is no package"),
        ("encrypt a.nef -o a.nef --efuse-key env:MB_E", "overwrite the file that is read"),
        ("encrypt a.nef -o vendor.nef --efuse-key env:MB_E", "overwrite a file that modelbuild has not"),
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
    said = command(here, "nef", *words.split())
    assert said.code == 2 and what in said.err
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
