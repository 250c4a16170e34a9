"""A stage whose output changes has a new VERSION, so that no cache serves the old result."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
import yaml

from modelbuild.chips.load import load_recipe
from modelbuild.stages.backends import BACKENDS
from tests.stages import golden
from tests.stages.built import Built, build

KNOWN: golden.Made = json.loads(golden.GOLDEN.read_bytes())


@pytest.fixture(scope="module")
def stages(built: Built, tmp_path_factory: pytest.TempPathFactory) -> golden.Made:
    kmodels = build(tmp_path_factory.mktemp("kmodels"), golden.KMODELS)
    return golden.together([golden.made_by(one.project, one.result) for one in (built, kmodels)])


def test_every_back_end_has_one() -> None:
    chips = {entry["chip"] for text in (golden.MANIFEST, golden.KMODELS) for entry in targets(text)}
    assert {load_recipe(chip).number_format.arithmetic for chip in chips} == set(BACKENDS)


def targets(manifest: str) -> list[dict[str, str]]:
    return list(yaml.safe_load(manifest)["targets"].values())


def test_every_stage_has_a_golden_digest(stages: golden.Made) -> None:
    every = {path.stem for path in (Path(golden.__file__).parents[2] / "modelbuild/stages").glob("*.py")}
    beside = {
        "__init__",
        "request",
        "files",
        "guarded",
        "accuracy",
        "goal",
        "hardware_runs",
        "hardware_views",
        "hardware_match",
        "sealing",
    }
    beside |= {"fetch", "import_fixed", "locked", "remeasure"}  # of builds that this project is none of
    assert set(stages) == set(KNOWN) == every - beside


@pytest.mark.parametrize("stage", KNOWN)
def test_output_and_version_change_together(stage: str, stages: golden.Made) -> None:
    changed = golden.stale(stage, stages, KNOWN)
    assert not changed, f"raise VERSION of modelbuild/stages/{stage}.py, then: python -m tests.stages.golden"
    assert stages[stage] == KNOWN[stage], "a key changed, and outputs may: python -m tests.stages.golden"


@pytest.fixture
def renewed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """golden.json where `main` may write it, of a project that `measured` need not build."""
    path = tmp_path / "golden.json"
    path.write_text(json.dumps(KNOWN), encoding="utf-8")
    monkeypatch.setattr(golden, "GOLDEN", path)
    return path


def pretend(monkeypatch: pytest.MonkeyPatch, made: golden.Made) -> None:
    monkeypatch.setattr(golden, "measured", lambda folder: made)


def test_an_output_that_changed_under_its_key_is_not_taken(
    renewed: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = copy.deepcopy(KNOWN)
    made["apply"]["small@mpk:apply"]["outputs"]["model.fixed.onnx"] = "0" * 64
    pretend(monkeypatch, made)
    for arguments in ([], ["--first"]):
        assert golden.main(arguments) == 1
        said = capsys.readouterr().err
        assert "small@mpk:apply model.fixed.onnx changed" in said
        assert "raise VERSION of modelbuild/stages/apply.py" in said
        assert json.loads(renewed.read_bytes()) == KNOWN


def test_an_output_may_change_with_its_key(renewed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = copy.deepcopy(KNOWN)
    made["apply"]["small@mpk:apply"] = {"key": "1" * 64, "outputs": {"model.fixed.onnx": "0" * 64}}
    pretend(monkeypatch, made)
    assert golden.main([]) == 0
    assert json.loads(renewed.read_bytes()) == made


def test_a_new_stage_needs_first(
    renewed: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = {**KNOWN, "tune": {"small@mpk:tune": {"key": "1" * 64, "outputs": {"tuned": "0" * 64}}}}
    pretend(monkeypatch, made)
    assert golden.main([]) == 1 and "tune is new: add --first" in capsys.readouterr().err
    assert golden.main(["--first"]) == 0
    assert json.loads(renewed.read_bytes()) == made


def test_digests_do_not_depend_on_libraries(tmp_path: Path) -> None:
    import numpy as np

    assert golden.digest("a.json", b'{"x": 1.00000000001}') == golden.digest("a.json", b'{"x":1.0}')
    assert golden.digest("a.json", b'{"x": 1.0001}') != golden.digest("a.json", b'{"x":1.0}')
    assert golden.digest("a.html", b"<b>24.95</b>") == golden.digest("a.html", b"<b>25.0</b>")
    assert golden.digest("a.html", b"<b>25.0</b>") != golden.digest("a.html", b"<i>25.0</i>")
    found = set()
    for name, save in (("stored", np.savez), ("packed", np.savez_compressed)):
        save(tmp_path / f"{name}.npz", x=np.arange(4))
        found.add(golden.digest("a.npz", (tmp_path / f"{name}.npz").read_bytes()))
    assert len(found) == 1
    np.savez(tmp_path / "other.npz", x=np.arange(1, 5))
    assert golden.digest("a.npz", (tmp_path / "other.npz").read_bytes()) not in found
