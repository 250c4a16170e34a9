"""References, toolchains, values from the environment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from modelbuild.errors import ModelbuildError

Place = Callable[[str, str], str]
GOOD = """\
modelbuild: 1
samples: {faces: {files: faces/*.png}}
models: {net: {source: net.onnx, calibration: faces}}
targets: {cam: {chip: kl720}}
packages: {bell: {target: cam, models: {net: {id: 32768, version: "0001"}}}}
"""


def test_a_good_manifest_has_neither_errors_nor_warnings(project: Any) -> None:
    assert project.warnings(GOOD) == []


@pytest.mark.parametrize(
    ("old", "new", "at", "what"),
    [
        ("calibration: faces", "calibration: face", "face}}", "unknown sample set `face`"),
        ("calibration: faces", "calibration: {set: face}", "face}}}", "unknown sample set `face`"),
        ("calibration: faces", "calibration: faces, evaluation: gone", "gone", "unknown sample set `gone`"),
        ("target: cam", "target: cma", "cma", "unknown target `cma`"),
        ("target: cam", "targets: [cam, cma]", "cma", "unknown target `cma`"),
        ("{net: {id", "{nett: {id", "nett", "unknown model `nett`"),
        ('{net: {id: 32768, version: "0001"}}', "[nett]", "nett", "unknown model `nett`"),
        ("faces}}", "faces, targets: {cma: {}}}}", "cma", "unknown target `cma`"),
        ("chip: kl720", "chip: kl700", "kl700", "unknown chip `kl700`"),
        ("chip: kl720", "chip: kl720, toolchain: bultin", "bultin", "unknown toolchain `bultin`"),
        ("chip: kl720", "chip: kl720, toolchain: ktc@0.33.1", "ktc", "the toolchain ktc is not built yet"),
        (
            "chip: kl720",
            "chip: kl720, toolchain: builtin@3",
            "builtin",
            "the builtin toolchain has no version `3` to choose",
        ),
        ("faces/*.png", "env:FOLDER", "env:FOLDER", "`env:FOLDER` cannot stand here"),
    ],
)
def test_unknown_names(project: Any, place: Place, old: str, new: str, at: str, what: str) -> None:
    text = GOOD.replace(old, new)
    assert (place(text, at), what) in project.errors(text)


def test_the_nearest_name_is_told(project: Any) -> None:
    with pytest.raises(ModelbuildError) as caught:
        project.load(GOOD.replace("chip: kl720", "chip: kl72"))
    assert caught.value.problems[0].advice.startswith("did you mean `kl720`? chips are k210, ")


def test_a_reference_to_a_broken_entry_is_no_error_of_its_own(project: Any) -> None:
    text = GOOD.replace("files:", "filse:")
    assert project.errors(text) == [("models.yaml:2:19", "unknown key `filse` in `faces`")]


def test_a_recipe_that_is_not_there(project: Any) -> None:
    ((where, what),) = project.errors(GOOD.replace("kl720", "./recipes/mine.yaml"))
    assert where == "models.yaml:4:23"
    assert "recipe" in what
