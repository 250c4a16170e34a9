"""What stages say that they take is what they take, and they say how far they are."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

from modelbuild import api, stages
from modelbuild.build import pool
from modelbuild.build.action import Resources
from modelbuild.build.result import Event
from modelbuild.project.options import BuildOptions
from modelbuild.stages.request import ModelRequest
from tests.stages.golden import write_project

FOLDER = Path(stages.__file__).parent
STAGES = sorted(path.stem for path in FOLDER.glob("*.py") if "\ndef run(" in path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_says_what_it_takes(stage: str) -> None:
    module = importlib.import_module(f"modelbuild.stages.{stage}")
    assert hasattr(module, "resources") != hasattr(module, "RESOURCES")
    found = getattr(module, "RESOURCES", Resources())
    assert found.threads == 1 and 32 << 20 <= found.memory <= 1 << 30


def request(shapes: dict[str, list[int]]) -> ModelRequest:
    inputs = {name: {"shape": shape} for name, shape in shapes.items()}
    return ModelRequest("m", "m.onnx", None, inputs, (), "t", {}, {}, None, None)


@pytest.mark.parametrize("stage", ["observe", "verify_fixed", "remeasure"])
def test_large_pictures_need_more_than_small_ones(stage: str) -> None:
    resources: Any = importlib.import_module(f"modelbuild.stages.{stage}").resources
    small, large = (resources(request({"x": [1, 3, side, side]})) for side in (224, 640))
    assert large.memory > 3 * small.memory - (512 << 20)
    assert large.memory > 700 << 20
    undeclared = resources(request({}))
    assert undeclared == small, "without a shape, the commonest is supposed"


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is not known elsewhere")
@pytest.mark.usefixtures("started_workers")
def test_what_is_declared_is_kept_and_progress_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each action in a process of its own, so that none has what another left."""
    from modelbuild.build import execution

    monkeypatch.setattr(pool, "MAY_HOLD", 0)
    declared: dict[str, int] = {}
    original = execution.Execution.start

    def start(self: Any, action: Any, todo: Any, memory: int) -> int:
        declared[action.name] = memory
        return original(self, action, todo, memory)

    monkeypatch.setattr(execution.Execution, "start", start)
    write_project(tmp_path)
    manifest = tmp_path / "models.yaml"
    manifest.write_text(manifest.read_text().replace("[nef, mpk, old]", "[nef]"))
    events: list[Event] = []
    result = api.build(api.open_project(tmp_path), (), BuildOptions(jobs=1), events.append)
    assert result.ok
    peaks = {one.action: one.peak_bytes or 0 for one in events if one.kind == "finished"}
    over = {name: (peak, declared[name]) for name, peak in peaks.items() if peak > declared[name]}
    assert over == {}
    assert min(peaks.values()) > 8 << 20
    steps: dict[str, tuple[int, int, str]] = {}
    for one in events:
        if one.kind == "progress":
            steps[one.action] = (one.step, one.steps, one.what)
    assert steps["small@nef:observe"] == (16, 16, "sample in 2 passes")
    assert steps["small@nef:verify_fixed"] == (8, 8, "sample")
    assert steps["all-nef/small:verify_hardware"] == (8, 8, "sample")
