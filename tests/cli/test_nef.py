"""`modelbuild nef` from the command line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from modelbuild.formats import nef
from tests.cli.conftest import Command
from tests.cli.test_documented import SECTIONS, form, holds
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
    assert (said.code, said.err) == (0, "")
    assert said.lines[1].split() == ["32768", "0a0f", "model_0"]
    assert said.lines[-1].endswith("for modelbuild's simulator of kl720")
    assert [model.id for model in nef.read((here / "out.nef").read_bytes()).models] == [32768, 32769]
    again = command(here, "nef", "combine", "a.nef", "b.nef", "-o", "folder/", "--json")
    assert again.json["path"] == str(here / "folder/models_720.sim.nef")
    assert holds(again.json, promised("combine")) == []  # type: ignore[arg-type]
    assert command(here, "nef", "combine", "-q", "a.nef", "b.nef", "-o", "folder").out == ""
    assert command(here, "inspect", "folder/models_720.sim.nef").code == 0


@pytest.mark.parametrize(
    ("words", "what"),
    [
        ("combine a.nef other.nef -o x.nef", "different chips"),
        ("combine a.nef a.nef -o x.nef", "two models have the id 32768"),
        ("combine -o x.nef", "no NEF is named"),
        ("combine a.nef b.nef", "-o is missing"),
        ("combine a.nef none.nef -o x.nef", "none.nef cannot be read"),
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
        ("generate a.nef --chip kl720 -o x.nef", "KNE"),
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
    assert [Path(file["path"]).name for file in said.json["files"]][:2] == ["all_models.bin", "fw_info.bin"]


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
    model = nef.read((here / "new.nef").read_bytes()).models[0]
    assert (model.id, model.version) == (40000, 0xBEEF)


def test_a_vendors_programs_are_noted(here: Path, command: Command) -> None:
    for number in (1, 2):
        data = vendor.simple("630", vendor.setup_flatbuffer("630", 2), 0x80000000, (number,))
        (here / f"v{number}.nef").write_bytes(data)
    said = command(here, "nef", "combine", "v1.nef", "v2.nef", "-o", "v.nef")
    assert said.code == 0 and "note: the programs are a vendor's" in said.err
    assert said.lines[-1].endswith(", for kl630")
