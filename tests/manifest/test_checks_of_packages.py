"""Packages: expansion, ids, versions, formats, warnings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Place = Callable[[str, str], str]
HEAD = """\
modelbuild: 1
samples: {faces: {files: faces/*.png}}
defaults: {calibration: faces}
models: {one: {source: net.onnx}, two: {source: net.onnx}}
targets: {cam: {chip: kl720}, eye: {chip: modalix}, old: {chip: kl520}}
packages:
"""


def test_targets_expand_to_a_package_each(project: Any) -> None:
    text = (
        HEAD + "  toys: {targets: [cam, eye], models: {one: {id: 0x8001, version: 00ff}, two: {id: 40000}}}\n"
    )
    packages = project.load(text).packages
    assert list(packages) == ["toys-cam", "toys-eye"]
    assert {package.entry for package in packages.values()} == {"toys"}
    assert [(m.name, m.id, m.version) for m in packages["toys-cam"].models] == [
        ("one", 32769, "00ff"),
        ("two", 40000, "0001"),
    ]


def test_without_models_a_package_has_all_of_them(project: Any) -> None:
    packages = project.load(HEAD + "  toys: {target: eye}\n").packages
    assert [model.name for model in packages["toys"].models] == ["one", "two"]
    packages = project.load(HEAD + "  toys: {target: eye, models: [two]}\n").packages
    assert [model.name for model in packages["toys"].models] == ["two"]


@pytest.mark.parametrize(
    ("package", "at", "what"),
    [
        ("{target: cam, models: {one: {id: 0}}}", "0}", "the id 0 is not possible"),
        ("{target: cam, models: {one: {id: -3}}}", "-3", "the id -3 is not possible"),
        ("{target: cam, models: {one: {id: 4294967296}}}", "4294967296", "the id 4294967296 is not possible"),
        (
            "{target: cam, models: {one: {version: 0001}}}",
            "one: {version",
            "`one` has no id in the package p",
        ),
        ("{target: cam, models: {one: }}", "one: }", "`one` has no id in the package p"),
        ("{target: cam, models: [one]}", "one]", "`one` has no id in the package p"),
        ("{target: cam}", "p: {", "`two` has no id in the package p"),
        (
            "{target: cam, models: {one: {id: 40000}, two: {id: 40000}}}",
            "40000}}}",
            "`one` and `two` have the same id 40000",
        ),
        (
            "{target: cam, models: {one: {id: 40000, version: 12}}}",
            "12}",
            "the version `12` is not four hex digits",
        ),
        (
            "{target: cam, models: {one: {id: 40000, version: 00fg}}}",
            "00fg",
            "the version `00fg` is not four hex digits",
        ),
        (
            "{target: eye, models: {one: {version: 1.10}}}",
            "1.10",
            "the version `1.10` is not four hex digits",
        ),
        (
            "{target: cam, format: mpk, models: {one: {id: 40000}}}",
            "mpk",
            "kl720 does not take `mpk` packages",
        ),
    ],
)
def test_what_is_wrong(project: Any, place: Place, package: str, at: str, what: str) -> None:
    text = HEAD + f"  p: {package}\n"
    before = text.index("packages:")
    line, column = place(text[before:], at).split(":")[1:]
    assert (f"models.yaml:{int(line) + 5}:{column}", what) in project.errors(text)


def test_two_packages_of_one_name(project: Any) -> None:
    text = HEAD + "  toys: {targets: [eye]}\n  toys-eye: {target: eye}\n"
    assert project.errors(text) == [("models.yaml:8:3", "two packages are called toys-eye")]


def test_the_format_may_be_said(project: Any) -> None:
    text = HEAD + "  p: {target: cam, format: nef, models: {one: {id: 40000}}}\n"
    assert project.load(text).packages["p"].format == "nef"


def test_reserved_ids_are_a_warning_where_ids_mean_something(project: Any) -> None:
    text = HEAD + "  p: {targets: [cam, eye], models: {one: {id: 32767}, two: {id: 32768}}}\n"
    assert project.warnings(text) == [
        ("MB004", 5, "no package has the target `old`"),
        ("MB001", 7, "the id 32767 is reserved: Kneron keeps ids below 32768"),
    ]
    text = HEAD + "  p: {target: eye, models: {one: {id: 3}, two: }}\n"
    assert ("MB002", 7, "mpk packages have no ids: the id 3 is not used") in project.warnings(text)


def test_what_no_package_asks_for_is_a_warning(project: Any) -> None:
    assert project.warnings(HEAD + "  p: {target: eye, models: [one]}\n") == [
        ("MB004", 4, "no package has the model `two`"),
        ("MB004", 5, "no package has the target `cam`"),
        ("MB004", 5, "no package has the target `old`"),
    ]
    assert project.warnings(HEAD) == [("MB003", 6, "there are no packages: nothing is built")]


def test_a_package_of_nothing(project: Any) -> None:
    text = "modelbuild: 1\ntargets: {eye: {chip: modalix}}\npackages: {p: {target: eye}}\n"
    assert project.errors(text) == [("models.yaml:3:12", "the package p has no models")]
    text = "modelbuild: 1\ntargets: {eye: {chip: modalix}}\npackages: {p: {target: eye, models: []}}\n"
    assert project.errors(text) == [("models.yaml:3:12", "the package p has no models")]


@pytest.mark.parametrize("include", ["", ", include: [old.nef]"])
def test_a_package_that_names_none_of_the_models(project: Any, include: str) -> None:
    """Included files do not make up for it: a build would find no program to begin with."""
    text = HEAD + f"  bell: {{target: cam, models: {{}}{include}}}\n"
    found = [error for error in project.errors(text) if "old.nef" not in error[1]]
    assert [what for _, what in found] == ["the package bell has no models"]
    line = text[: text.index("models: {}")].count("\n") + 1
    assert found[0][0] == f"models.yaml:{line}:23"


def test_the_models_of_a_nef_share_the_form_of_their_setup(project: Any) -> None:
    text = HEAD + "  bell: {target: cam, models: {one: {id: 32768}, two: {id: 32769}}}\n"
    older = "{compile: {flatbuffer: false}, "
    assert project.load(text)
    assert project.load(text.replace("cam: {", f"cam: {older}"))
    what = "the models of the package bell ask for different forms of the setup"
    assert project.errors(text.replace("two: {s", f"two: {older}s")) == [("models.yaml:4:63", what)]
