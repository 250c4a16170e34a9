"""The version of the library that decides a stage's verdict is part of its key."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import onnxruntime
import pytest

from modelbuild.build.action import FileInput
from modelbuild.project.project import open_project
from tests.project.small_project import write_manifest, write_model, write_samples

MANIFEST = """\
samples: {some: {files: "data/*.npy"}}
models: {m: {source: m.onnx, calibration: some}}
targets: {cam: {chip: kl720}}
packages: {p: {target: cam, models: {m: {id: 32768}}}}
"""


def test_a_stage_that_runs_a_model_in_onnxruntime_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_model(tmp_path / "m.onnx")
    write_samples(tmp_path / "data")
    write_manifest(tmp_path, MANIFEST)
    project = open_project(tmp_path)
    actions = [action for action in project.plan.actions if not action.soft_inputs]
    result = project.builder.build(actions, [action.name for action in actions], jobs=1)
    assert result.ok
    sessions: list[str] = []
    original = onnxruntime.InferenceSession

    class Noted(original):  # type: ignore[misc, valid-type]
        def __init__(self, *arguments: Any, **options: Any) -> None:
            sessions.append(running)
            super().__init__(*arguments, **options)

    monkeypatch.setattr(onnxruntime, "InferenceSession", Noted)
    for number, action in enumerate(actions):
        running = action.name
        inputs = {
            role: tmp_path / source.path
            if isinstance(source, FileInput)
            else project.builder.output(result, source.action, source.name)
            for role, source in action.inputs.items()
        }
        out = tmp_path / f"out{number}"
        out.mkdir()
        module, function = action.function.split(":")
        getattr(import_module(module), function)(inputs, {**action.parameters, **action.unkeyed}, out)
    named = {action.name for action in actions if "onnxruntime" in action.libraries}
    assert {"m:import_source", "m:normalise", "m@cam:observe"} <= set(sessions) <= named
