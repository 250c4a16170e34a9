"""A locked build's own stages: files that are not the locked ones, and figures that are not."""

from __future__ import annotations

import copy
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from modelbuild.errors import ModelbuildError
from modelbuild.stages import locked, remeasure, verify_fixed

LOCKED: dict[str, Any] = {
    "samples": 400,
    "outputs": [{"name": "scores", "snr_db": 30.0, "snr_db_mean": 31.0, "cosine": 1.0, "max_abs": 0.1}],
    "accuracy": {"labelled": 400, "float": {"top1": 0.9}, "fixed": {"top1": 0.88}, "drop": {"top1": 0.02}},
}


def run_locked(folder: Path, wanted: dict[str, str]) -> Any:
    """The stage on a package of one file and a model's record beside it."""
    (folder / "package.json").write_text(json.dumps({"files": [{"path": "m.nef", "sha256": "a" * 64}]}))
    (folder / "quant.txt").write_text("record\n")
    (folder / "out").mkdir()
    inputs = {"package": folder / "package.json", "shipped/m.quant.txt": folder / "quant.txt"}
    locked.run(inputs, {"files": wanted}, folder / "out")
    return json.loads((folder / "out/locked.json").read_bytes())


RECORD = hashlib.sha256(b"record\n").hexdigest()


def test_the_locked_bytes_pass(tmp_path: Path) -> None:
    wanted = {"m.nef": "a" * 64, "m.quant.txt": RECORD}
    assert run_locked(tmp_path, wanted) == wanted


@pytest.mark.parametrize(
    ("wanted", "name", "why"),
    [
        ({"m.nef": "b" * 64, "m.quant.txt": RECORD}, "m.nef", f"locked {'b' * 64}, made {'a' * 64}"),
        ({"m.nef": "a" * 64, "m.quant.txt": "c" * 64}, "m.quant.txt", f"locked {'c' * 64}, made {RECORD}"),
        ({"m.nef": "a" * 64}, "m.quant.txt", f"locked none, made {RECORD}"),
        ({"m.nef": "a" * 64, "m.quant.txt": RECORD, "x": "d" * 64}, "x", f"locked {'d' * 64}, made none"),
    ],
)
def test_other_bytes_are_named_with_both_digests(
    tmp_path: Path, wanted: dict[str, str], name: str, why: str
) -> None:
    with pytest.raises(ModelbuildError) as caught:
        run_locked(tmp_path, wanted)
    (problem,) = caught.value.problems
    assert caught.value.exit_code == 1
    assert problem.what == f"this machine made other bytes: {name}" and problem.why == why


def outside(fresh: dict[str, Any]) -> list[str]:
    """What of these measurements is outside its tolerance."""
    found = remeasure.compared(LOCKED, fresh)
    return [what for what, before, now, allowed in found if not abs(now - before) <= allowed]


def changed(path: str, value: Any) -> dict[str, Any]:
    fresh = copy.deepcopy(LOCKED)
    *folders, last = path.split(".")
    place: Any = fresh
    for part in folders:
        place = place[int(part)] if part.isdecimal() else place[part]
    place[last] = value
    return fresh


@pytest.mark.parametrize(
    ("path", "inside", "beyond", "what"),
    [
        ("outputs.0.snr_db", 29.91, 29.89, "snr_db of scores"),
        ("outputs.0.snr_db", 30.09, 30.11, "snr_db of scores"),
        ("outputs.0.snr_db_mean", 31.0, 30.8, "snr_db_mean of scores"),
        ("accuracy.fixed.top1", 0.8825, 0.8875, "top1 of the fixed model"),
        ("accuracy.float.top1", 0.905, 0.9075, "top1 of the float model"),
        ("samples", 400, 399, "the number of samples"),
        ("outputs.0.name", "scores", "boxes", None),
        ("accuracy", LOCKED["accuracy"], None, None),
    ],
)
def test_a_figure_may_differ_by_its_tolerance(path: str, inside: Any, beyond: Any, what: str | None) -> None:
    assert outside(changed(path, inside)) == []
    found = outside(changed(path, beyond))
    assert found == [what] if what else len(found) >= 2


def test_one_sample_may_always_fall_to_the_other_side() -> None:
    few = changed("accuracy", {"float": {"top1": 0.9}, "fixed": {"top1": 0.9}}) | {"samples": 10}
    other = copy.deepcopy(few)
    for top1, count in ((0.8, 0), (0.7, 1)):
        other["accuracy"]["fixed"]["top1"] = top1
        found = remeasure.compared(few, other)
        assert sum(not abs(now - before) <= allowed for _, before, now, allowed in found) == count


def test_above_90_db_it_is_the_float_models_own_rounding_that_is_measured() -> None:
    exact = changed("outputs.0.snr_db", 200.0)
    for fresh, count in ((140.0, 0), (90.0, 0), (89.0, 1)):
        found = remeasure.compared(exact, changed("outputs.0.snr_db", fresh))
        assert sum(not abs(now - before) <= allowed for _, before, now, allowed in found) == count


def test_a_figure_that_is_no_number_is_outside() -> None:
    assert outside(changed("outputs.0.snr_db", float("nan"))) == ["snr_db of scores"]


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"fixed": 1}'])
def test_measurements_that_are_none_are_told_with_their_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "measurements.json").write_text(text)
    with pytest.raises(ModelbuildError, match="the locked measurements cannot be read"):
        verify_fixed.read_locked(tmp_path / "measurements.json")
