"""A stage whose output changes has a new VERSION, so that no cache serves the old result."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.stages import golden


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    return golden.measured(tmp_path_factory.mktemp("golden"))


KNOWN = json.loads(golden.GOLDEN.read_bytes())


def test_every_stage_has_a_golden_digest(stages: dict[str, dict[str, str]]) -> None:
    every = {path.stem for path in (Path(golden.__file__).parents[2] / "modelbuild/stages").glob("*.py")}
    beside = {"__init__", "request", "files", "import_fixed"}  # no stages, and one for sources of ours only
    assert set(stages) == set(KNOWN) == every - beside


@pytest.mark.parametrize("stage", KNOWN)
def test_output_and_version_change_together(stage: str, stages: dict[str, dict[str, str]]) -> None:
    assert KNOWN[stage]["version"] == golden.version(stage), "renew: python -m tests.stages.golden"
    changed = [name for name, found in stages[stage].items() if KNOWN[stage]["outputs"].get(name) != found]
    assert not changed, f"raise VERSION of modelbuild/stages/{stage}.py, then: python -m tests.stages.golden"
    assert stages[stage].keys() == KNOWN[stage]["outputs"].keys()
