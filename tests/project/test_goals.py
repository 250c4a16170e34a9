"""Words on the command line -> actions."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelbuild.errors import ModelbuildError, Problem
from modelbuild.project.checking import check
from modelbuild.project.goals import actions_named, goals
from modelbuild.project.project import Project, open_project
from modelbuild.toolchains import builtin
from tests.manifest.test_plan import TEXT, folder

__all__ = ["folder"]


@pytest.fixture
def project(folder: Path) -> Project:
    (folder / "models.yaml").write_text(TEXT, encoding="utf-8")
    return open_project(folder)


def test_without_names_every_package_to_its_gate_and_report(project: Project) -> None:
    assert goals(project, []) == ["both:gate", "both:report", "eyes:gate", "eyes:report"]


def test_a_model_means_all_its_targets(project: Project) -> None:
    found = goals(project, ["one"])
    assert {name.split(":")[0] for name in found} == {"one@cam", "one@eye"}
    assert goals(project, ["one@eye"]) == [name for name in found if name.startswith("one@eye")]


def test_until_names_a_stage_with_either_dash(project: Project) -> None:
    assert goals(project, ["both"], "lower") == ["one@cam:lower", "two@cam:lower"]
    assert goals(project, ["eyes"], "verify-hardware") == ["eyes/one:verify_hardware"]
    with pytest.raises(ModelbuildError, match="nothing selected has a stage") as caught:
        goals(project, [], "quantise")
    advice = caught.value.problems[0].advice
    assert "did you mean `quantize`" in advice
    listed = advice.partition("stages are ")[2].split(", ")
    assert listed == [stage for stage in builtin.PIPELINE if stage in listed] and "verify_hardware" in listed


def test_without_packages_every_model_on_every_target(folder: Path) -> None:
    (folder / "models.yaml").write_text(TEXT.split("packages:")[0], encoding="utf-8")
    found = goals(open_project(folder), [])
    assert {name.split(":")[0] for name in found} == {"one@cam", "one@eye", "two@cam", "two@eye"}


def refused(project: Project, names: list[str], until: str) -> Problem:
    with pytest.raises(ModelbuildError) as caught:
        goals(project, names, until)
    (problem,) = caught.value.problems
    return problem


def test_a_stage_of_packages_names_the_package(project: Project, folder: Path) -> None:
    found = refused(project, ["one@eye"], "verify_hardware")
    assert found.what == "`verify_hardware` is a stage of packages, and no package is selected"
    assert found.advice == "`modelbuild build eyes --until verify_hardware`"
    assert "verify: {hardware: none}" not in found.why
    text = TEXT.replace("one: {source: one.onnx}", "one: {source: one.onnx, verify: {hardware: none}}")
    (folder / "models.yaml").write_text(text, encoding="utf-8")
    none = refused(open_project(folder), ["one@eye"], "verify_hardware")
    assert none.why == f"{found.why}, and with `verify: {{hardware: none}}` no sample"


def test_the_stages_listed_are_those_of_what_is_selected(project: Project) -> None:
    found = refused(project, ["one@cam"], "fetch")
    assert found.what == "nothing selected has a stage `fetch`" and found.why == "no source is an address"
    assert "did you mean" not in found.advice
    assert found.advice.endswith("check_result, compile") and "package" not in found.advice


def test_a_fixed_point_source_has_no_prediction(folder: Path) -> None:
    text = TEXT.replace("one.onnx", "three.fixed.onnx")
    (folder / "models.yaml").write_text(text, encoding="utf-8")
    found = refused(open_project(folder), ["one@cam"], "evaluate")
    assert found.why.startswith("one is a .fixed.onnx: ")
    assert found.advice == "stages are import_fixed, compile"


@pytest.mark.parametrize(
    ("name", "first"),
    [("one@cam:observe", "one@cam:observe"), ("both", "both:package"), ("one@eye", "one@eye:lower")],
)
def test_why_takes_an_action_or_its_owner(project: Project, name: str, first: str) -> None:
    assert first in actions_named(project, name)


def test_an_unknown_action_gets_the_nearest(project: Project) -> None:
    with pytest.raises(ModelbuildError) as caught:
        actions_named(project, "one@cam:observ")
    assert "`one@cam:observe`" in caught.value.problems[0].advice


def test_a_model_on_a_target_that_no_package_asks_for_is_an_error(project: Project) -> None:
    for ask in (lambda: goals(project, ["two@eye"]), lambda: check(project, ["two@eye"])):
        with pytest.raises(ModelbuildError, match="no package has two@eye") as caught:
            ask()
        assert "`target: eye`" in caught.value.problems[0].advice
