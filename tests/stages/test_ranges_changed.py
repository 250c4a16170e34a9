"""Another range method, percentile or number of bits is a new record from what was observed: no inference."""

from __future__ import annotations

import shutil
from pathlib import Path

import onnxruntime
import pytest

from modelbuild.build.key import fields, key_of
from modelbuild.project.project import Project, open_project
from modelbuild.quantize import record, refining, sample_needs
from tests.stages.built import Built

BEFORE = {"import_source", "normalise", "lower", "check", "evaluate", "observe"}
CHANGES = (
    ("range.method=minmax",),
    ("range.method=percentile", "range.percentile=99.9"),
    ("range.method=percentile", "range.percentile=99.99"),
    ("range.method=mse",),
    ("range.method=entropy",),
    ("activations=[int16, int8]", "weights=[int16, int8]"),
)
TARGETS = {"nef": 16, "mpk": 16, "old": 8}  # and the most bits of each


def changed(root: Path, settings: tuple[str, ...]) -> Project:
    return open_project(root, overrides=[f"quantize.{text}" for text in settings])


@pytest.mark.parametrize("settings", CHANGES, ids=" ".join)
def test_what_was_observed_stands(built: Built, settings: tuple[str, ...]) -> None:
    before, after = (
        {action.name: key_of(fields(action, {})) for action in project.plan.actions}
        for project in (built.project, changed(built.project.root, settings))
    )
    assert before.keys() == after.keys()
    others = {name.rsplit(":", 1)[1] for name in before if before[name] != after[name]}
    formats = settings[0].startswith("activations")  # which a prediction and the room of layers are of
    assert "quantize" in others and not others & (BEFORE - ({"check", "evaluate"} if formats else set()))


@pytest.mark.parametrize("settings", CHANGES, ids=" ".join)
def test_a_new_record_needs_no_session(
    built: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: tuple[str, ...]
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise AssertionError("the float model runs")

    monkeypatch.setattr(onnxruntime, "InferenceSession", refused)
    actions = {action.name: action for action in changed(built.project.root, settings).plan.actions}
    for target, most in TARGETS.items():
        name = f"small@{target}:quantize"
        assert set(actions[name].inputs) == {"model", "observations"}
        assert "onnxruntime" not in actions[name].libraries
        out = built.run(name, tmp_path / target, parameters=actions[name].parameters)
        found = record.read(out / "quant.txt")
        bits = {line.bits for line in found.tensors if line.kind == "activation"}
        method, _, value = settings[0].partition("=")
        if method == "range.method":
            assert (found.method, bits) == (value, {8})
        else:
            assert bits == {most}


def test_weights_of_a_model_that_is_not_small_are_rounded_without_a_session(
    built: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where there are samples enough, so that the stage has them."""
    observing = built.action("small@nef:observe").parameters
    roles = built.inputs("small@nef:observe")
    samples = {role: path for role, path in roles.items() if role.startswith("sample/")}
    given = {**{key: observing[key] for key in ("preprocess", "samples")}, "refine": True}

    def methods(out: Path) -> set[str]:
        built.run("small@nef:quantize", out, inputs=samples, parameters=given)
        return {line.method for line in record.read(out / "quant.txt").tensors if line.kind == "weight"}

    monkeypatch.setattr(sample_needs, "ENOUGH", 1)
    assert methods(tmp_path / "small") == {"adaround"}
    monkeypatch.setattr(onnxruntime, "InferenceSession", None)
    monkeypatch.setattr(refining, "SMALL_WALK", 0)
    assert "adaround" not in methods(tmp_path / "large")


def test_only_what_follows_runs(built: Built, tmp_path: Path) -> None:
    shutil.copytree(built.project.root, tmp_path / "copy", symlinks=True)
    project = changed(tmp_path / "copy", ("range.method=mse",))
    goals = [f"small@{target}:quantize" for target in TARGETS]
    states = project.builder.build(project.plan.actions, goals, jobs=1).states
    assert {name for name in states if states[name] != "cached"} == set(goals)
    assert {"small:import_source", "small@nef:observe"} <= set(states)
