"""`modelbuild nef` from the command line."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from modelbuild import input_file
from modelbuild.formats import mpk, nef
from tests.cli.conftest import Command
from tests.cli.test_documented import SECTIONS, form, holds
from tests.formats import mpk_sources
from tests.formats import vendor_nef as vendor
from tests.formats.nef_sources import build, source


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A folder with two NEFs of KL720 and one of KL530."""
    for index, name in enumerate(("a.nef", "b.nef")):
        (tmp_path / name).write_bytes(build("720", "flatbuffer", 0x80000000, source(index)))
    (tmp_path / "other.nef").write_bytes(build("530", "flatbuffer", 0x80000000, source(5)))
    return tmp_path


def promised(action: str) -> object:
    found = re.search(rf"`{action}` `(\{{.*?\}})`[;.]", SECTIONS["nef"].partition("JSON: ")[2])
    assert found is not None
    return form(found[1])


def test_combining(here: Path, command: Command) -> None:
    said = command(here, "nef", "combine", "a.nef", "b.nef", "-o", "out.nef")
    assert said.code == 0 and said.err == (
        "note: out.nef is for modelbuild's simulator, not for a kl720: "
        "the container is the vendor's, the program inside is not. Do not flash it\n"
    )
    quiet = command(here, "nef", "combine", "a.nef", "b.nef", "-o", "out.nef", "-q")
    assert (quiet.out, quiet.err) == ("", said.err)
    assert said.lines[1].split() == ["32768", "0a0f", "model_0"]
    assert said.lines[-1].endswith("for modelbuild's simulator of kl720")
    assert [model.id for model in nef.read((here / "out.nef").read_bytes()).models] == [32768, 32769]
    again = command(here, "nef", "combine", "a.nef", "b.nef", "-o", "folder/", "--json")
    assert again.err == ""
    assert again.json["path"] == str(here / "folder/models_720.sim.nef")
    assert holds(again.json, promised("combine")) == []  # type: ignore[arg-type]
    quiet = command(here, "nef", "combine", "-q", "a.nef", "--force", "b.nef", "-o", "folder")
    assert (quiet.code, quiet.out, quiet.err) == (0, "", "")
    assert command(here, "inspect", "folder/models_720.sim.nef").code == 0


@pytest.mark.parametrize(
    ("words", "what"),
    [
        ("combine a.nef other.nef -o x.nef", "different chips"),
        ("combine a.nef a.nef -o x.nef", "two models have the id 32768"),
        ("combine -o x.nef", "no NEF is named"),
        ("combine a.nef b.nef", "-o is missing"),
        ("combine a.nef none.nef -o x.nef", "none.nef is not there"),
        ("combine a.nef b.nef -o a.nef", "overwrite the file that is read"),
        ("combine a.nef b.nef -o x.nef --model 5", "--model does not go with `nef combine`"),
        ("extract a.nef b.nef", "takes one file, not 2"),
        ("extract", "takes one file, not 0"),
        ("extract a.nef --id 1=2", "--id does not go with `nef extract`"),
        ("extract a.nef --model 7", "there is no model 7"),
        ("set a.nef -o x.nef", "there is nothing to set"),
        ("set a.nef --id 32768=5", "-o is missing"),
        ("set a.nef --id 32768 -o x.nef", "is not a pair"),
        ("set a.nef --id face=5 -o x.nef", "is not an id"),
        ("set a.nef --id 9=5 -o x.nef", "there is no model 9"),
        ("set a.nef --version 32768=12345 -o x.nef", "is not a version"),
        ("set a.nef --version 32768=xyz -o x.nef", "is not a version"),
        ("set a.nef --drop-unknown --id 32768=1 -o x.nef", "--drop-unknown does not go"),
        ("generate fw_info.bin all_models.bin -o x.nef", "--chip is missing"),
        ("generate a.nef --chip kl720 -o x.nef", "a.nef is no .kne"),
        ("generate a.nef a.nef --chip k210 -o x.nef", "a.nef is no fw_info.bin"),
        ("set a.nef --id 32768=7 --id 32768=8 -o x.nef", "--id is given twice for model 32768"),
        ("set a.nef --version 32768=7 --version 0x8000=8 -o x.nef", "--version is given twice"),
        ("combine a.nef -o -", "-o - names no file"),
        ("combine a.nef -o none/x.nef", "there is no folder"),
        ("combine a.nef -o a.nef/x.nef", "a.nef is no folder"),
        ("combine a.nef -o a.nef/", "-o cannot be a folder"),
        ("extract a.nef -o a.nef/x", "-o cannot be a folder"),
        ("combine a.nef b.nef -o x.nef --chip kl720", "--chip does not go with `nef combine`"),
        ("explode a.nef", "is not known"),
        ("", "combine|decrypt|encrypt|extract|generate|set is missing"),
    ],
)
def test_refusals(words: str, what: str, here: Path, command: Command) -> None:
    before = {path.name: path.read_bytes() for path in here.iterdir()}
    said = command(here, "nef", *words.split())
    assert said.code == 2 and what in said.err
    assert {path.name: path.read_bytes() for path in here.iterdir()} == before


def test_extracting(here: Path, command: Command) -> None:
    said = command(here, "nef", "extract", "a.nef")
    assert said.code == 0 and said.lines[-1] == f"wrote 5 files into {here / 'output'}"
    assert len(list((here / "output").iterdir())) == 5
    assert command(here, "nef", "extract", "a.nef").code == 2
    said = command(here, "nef", "extract", "a.nef", "-o", "output", "--force", "--model", "32768", "--json")
    assert said.code == 0
    assert holds(said.json, promised("extract")) == []  # type: ignore[arg-type]
    names = [Path(file["path"]).name for file in said.json["files"]]
    assert [name.rpartition("_modelid_")[2] for name in names] == [
        "32768_command.bin",
        "32768_weight.bin",
        "32768_setup.bin",
    ]


def test_generating(here: Path, command: Command) -> None:
    assert command(here, "nef", "extract", "a.nef").code == 0
    words = ("output/fw_info.bin", "output/all_models.bin", "--chip", "kl720", "-o", "new.nef")
    said = command(here, "nef", "generate", *words)
    assert said.code == 0 and said.lines[1].split() == ["32768", "0a0f", "-"]
    assert nef.read((here / "new.nef").read_bytes()).models[0].weight == source(0).weight


def test_setting(here: Path, command: Command) -> None:
    words = ("set", "a.nef", "--id", "32768=40000", "--version", "32768=0xBEEF", "-o", "new.nef")
    said = command(here, "nef", *words, "--json")
    assert said.code == 0
    assert said.json["models"] == [{"id": 40000, "name": "model_0", "version": "beef"}]
    assert holds(said.json, promised("set")) == []  # type: ignore[arg-type]
    model = nef.read((here / "new.nef").read_bytes()).models[0]
    assert (model.id, model.version) == (40000, 0xBEEF)
    said = command(here, "nef", "set", "a.nef", "--id", "0x8000=0x9000", "-o", "hex.sim.nef")
    assert nef.read((here / "hex.sim.nef").read_bytes()).models[0].id == 0x9000 and said.err == ""
    said = command(here, "nef", "set", "a.nef", "--id", "32768=7", "-o", "hex.sim.nef")
    assert said.code == 0 and "note: the id 7 is reserved: Kneron keeps ids below 32768" in said.err


def test_what_is_missing_is_said_with_what_is_there(here: Path, command: Command) -> None:
    said = command(here, "nef", "set", "a.nef", "--id", "9=5", "-o", "x.nef")
    assert said.err.splitlines()[0] == f"error: {here / 'a.nef'}: there is no model 9 in the file"
    assert "why: it has the model 32768" in said.err and "do:" in said.err


def test_binaries_in_the_wrong_order_or_of_another_chip(here: Path, command: Command) -> None:
    assert command(here, "nef", "extract", "a.nef").code == 0
    first, second = "output/fw_info.bin", "output/all_models.bin"
    said = command(here, "nef", "generate", second, first, "--chip", "kl720", "-o", "x.nef")
    assert said.code == 2 and "the files are in the wrong order" in said.err
    said = command(here, "nef", "generate", first, "--chip", "kl720", "-o", "x.nef")
    assert said.code == 2 and "output/fw_info.bin is no .kne" in said.err and "offset 0x-" not in said.err
    said = command(here, "nef", "generate", first, second, "--chip", "kl520", "-o", "x.nef")
    assert said.code == 2 and "the binaries do not belong together" in said.err
    said = command(here, "nef", "generate", first, second, "--chip", "k210", "-o", "x.nef")
    assert said.code == 2 and "do:  name one of kl520, kl720" in said.err
    assert not (here / "x.nef").exists()


@pytest.mark.parametrize("action", ["combine", "extract", "set --id 1=2"])
def test_other_files_are_told_by_what_they_are(action: str, here: Path, command: Command) -> None:
    (here / "m_mpk.tar.gz").write_bytes(mpk.build(mpk_sources.source()))
    (here / "cut.nef").write_bytes((here / "a.nef").read_bytes()[:-500])
    (here / "zeros.nef").write_bytes(bytes(5000))
    (here / "nothing.nef").write_bytes(b"")
    os.mkfifo(here / "pipe")
    verb, *rest = action.split()
    for name, what in (
        ("m_mpk.tar.gz", "m_mpk.tar.gz is an MPK, no NEF"),
        ("nothing.nef", "nothing.nef is empty"),
        ("zeros.nef", "zeros.nef is no NEF"),
        ("cut.nef", "cut.nef: offset 0x"),
        ("pipe", "pipe is not a regular file"),
        ("none", "none is not there"),
    ):
        said = command(here, "nef", verb, name, *rest, "-o", "x")
        assert said.code == 2 and said.err.startswith(f"error: {here / name}"), said.err
        assert what in said.err and "do:" in said.err and said.err.count(name) == 1


def test_a_file_beyond_the_limit_is_not_read(
    here: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(input_file.read, "__defaults__", (100,))
    for words in ("combine a.nef -o x", "extract a.nef", "generate a.nef --chip kl730 -o x"):
        said = command(here, "nef", *words.split())
        assert said.code == 2 and "a.nef is too large to be read" in said.err and "do:" in said.err


def test_folders_of_builds_take_nothing(here: Path, command: Command) -> None:
    (here / ".modelbuild").mkdir()
    (here / "dist/plain").mkdir(parents=True)
    for words in (
        "nef combine a.nef -o dist/plain/x.nef",
        "nef combine a.nef -o dist/plain",
        "nef extract a.nef -o dist/plain",
        "nef extract a.nef -o .modelbuild/x",
        "inspect a.nef --html dist/plain/x.html",
        "diff a.nef b.nef --html .modelbuild/x.html",
    ):
        said = command(here, *words.split())
        assert said.code == 2 and "cannot write into" in said.err, words
    assert list((here / "dist/plain").iterdir()) == list((here / ".modelbuild").iterdir()) == []


def test_a_vendors_programs_are_noted(here: Path, command: Command) -> None:
    for number in (1, 2):
        data = vendor.simple("630", vendor.setup_flatbuffer("630", 2), 0x80000000, (number,))
        (here / f"v{number}.nef").write_bytes(data)
    said = command(here, "nef", "combine", "v1.nef", "v2.nef", "-o", "v.nef")
    assert said.code == 0 and "note: the programs are a vendor's" in said.err
    assert said.lines[-1].endswith(", for kl630")
