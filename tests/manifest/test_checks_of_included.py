"""`include:` of a package: which files go into it, and where each that does not is named."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from modelbuild.errors import ModelbuildError
from modelbuild.formats import sealed
from modelbuild.formats.sealed_keys import Secrets
from modelbuild.manifest.plan import plan
from modelbuild.manifest.reads import named
from tests.artifacts.test_packing import packed
from tests.formats import vendor_nef as vendor
from tests.formats.nef_sources import build, source

Place = Callable[[str, str], str]
TEXT = """\
modelbuild: 1
samples: {faces: {files: faces/*.png}}
defaults: {calibration: faces}
models: {one: {source: net.onnx}}
targets: {cam: {chip: kl720}, eye: {chip: modalix}}
packages:
  p: {target: cam, models: {one: {id: 40000}}, include: INCLUDE}
"""


def nef(
    project: Any,
    name: str,
    *numbers: int,
    chip: tuple[str, str] = ("720", "flatbuffer"),
    command: bytes = b"",
) -> None:
    command = command or program()
    path: Path = project.root / name
    path.parent.mkdir(exist_ok=True)
    models = (source(number, command=command, host=b"") for number in numbers)
    path.write_bytes(build(*chip, 0x80000000, *models))


@cache
def program() -> bytes:
    return packed("conv", 32768, "kl720", "conv", "npu").program.command


def test_included_files_are_inputs_of_the_package(project: Any) -> None:
    nef(project, "old/a.nef", 0, 1)
    nef(project, "old/b.nef", 2)
    text = TEXT.replace("INCLUDE", "[old/a.nef, old/b.nef]")
    manifest = project.load(text)
    action = {one.name: one for one in plan(manifest).actions}["p:package"]
    assert action.paths()["include/0000"] == "old/a.nef"
    assert action.paths()["include/0001"] == "old/b.nef"
    assert action.parameters["include"] == ["a.nef", "b.nef"]
    assert {"old/a.nef", "old/b.nef"} <= {path for path, _ in named(manifest, None)}
    alone = project.load(TEXT.replace("INCLUDE", "old/a.nef"))
    assert alone.packages["p"].include == ("old/a.nef",)


@pytest.mark.parametrize(
    ("include", "at", "what"),
    [
        ("[none.nef]", "none", "none.nef is not there"),
        ("[faces]", "faces]", "faces is a folder"),
        ("[net.onnx]", "net.onnx]", "net.onnx is no NEF"),
        ("[cut.nef]", "cut", None),
        ("[other.nef]", "other", "other.nef is for kl530, the package for kl720"),
        ("[old.nef]", "old", "old.nef is of the generation legacy720, the package flatbuffer"),
        (
            "[vendor.nef]",
            "vendor",
            "vendor.nef holds a vendor's programs, and the package has modelbuild's own",
        ),
        ("[hidden.nef.enc]", "hidden", "hidden.nef.enc is encrypted"),
        ("[same.nef]", "same", "the model one and same.nef have the same id 40000"),
        ("[a.nef, b.nef]", "b.nef", "a.nef and b.nef have the same id 32768"),
        ("[a.nef, a.nef]", "a.nef]", "a.nef and a.nef have the same id 32768"),
        ("[c.nef, v1.nef]", "v1.nef", "the program of model 32769 in v1.nef cannot be packaged"),
        ("[broken.nef]", "broken", "the program of model 32769 in broken.nef cannot be packaged"),
    ],
)
def test_what_is_not_included(project: Any, place: Place, include: str, at: str, what: str | None) -> None:
    for name in ("a.nef", "b.nef"):
        nef(project, name, 0)
    nef(project, "other.nef", 0, chip=("530", "flatbuffer"))
    nef(project, "old.nef", 0, chip=("720", "legacy720"))
    nef(project, "same.nef", 40000 - 32768)
    nef(project, "c.nef", 5)
    nef(project, "v1.nef", 1, command=program()[:4] + b"\1\0" + program()[6:])
    nef(project, "broken.nef", 1, command=program()[:-1])
    (project.root / "cut.nef").write_bytes((project.root / "a.nef").read_bytes()[:-50])
    whole = vendor.simple("720", vendor.setup_flatbuffer("720", 2), 0x80000000, (999,))
    (project.root / "vendor.nef").write_bytes(whole)
    made = sealed.seal((project.root / "a.nef").read_bytes(), Secrets(efuse_key=bytes(16)), "nef")
    (project.root / "hidden.nef.enc").write_bytes(made)
    text = TEXT.replace("INCLUDE", include)
    found = project.errors(text)
    tail = text[text.index("include") :]
    before = text[: text.index("include") + tail.index(at)]
    where = f"models.yaml:{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"
    assert {one for one, _ in found} == {where}
    if what is not None:
        assert [said for _, said in found] == [what]


def test_both_places_of_an_id_are_told(project: Any, place: Place) -> None:
    nef(project, "same.nef", 40000 - 32768)
    text = TEXT.replace("INCLUDE", "[same.nef]")
    with pytest.raises(ModelbuildError) as raised:
        project.load(text)
    (problem,) = raised.value.problems
    assert problem.where == place(text, "same.nef")
    assert f"the other is at {place(text, '40000')}" in problem.why


def test_other_containers_include_nothing(project: Any, place: Place) -> None:
    nef(project, "a.nef", 0)
    text = TEXT.replace("INCLUDE", "[a.nef]").replace("cam, models: {one: {id: 40000}}", "eye, models: [one]")
    assert project.errors(text) == [(place(text, "include:"), "mpk packages include no files")]


def test_a_file_for_another_chip_says_what_to_do(project: Any, place: Place) -> None:
    nef(project, "other.nef", 0, chip=("530", "flatbuffer"))
    with pytest.raises(ModelbuildError) as caught:
        project.load(TEXT.replace("INCLUDE", "[other.nef]"))
    (problem,) = caught.value.problems
    assert problem.advice == "include files for kl720, or make a package for kl530 as well"
