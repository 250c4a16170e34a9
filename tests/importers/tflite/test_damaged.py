"""Damaged TFLite files: loaded or refused with a clean error, within 10 s and 1 GB."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.importers import mutations
from tests.importers.mutations import Sample
from tests.importers.tflite.operator_cases import CASES


def _samples(step: int) -> list[Sample]:
    behind = ("", "RESHAPE", "TRANSPOSE")
    return [
        Sample(case.name, {"m.tflite": case.build(behind[index % 3])[0]})
        for index, case in enumerate(CASES[::step])
    ]


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    assert mutations.faults(_samples(5), range(100), tmp_path) == []


@pytest.mark.long
def test_a_thousand_damaged_files_are_refused(tmp_path: Path) -> None:
    assert mutations.faults(_samples(1), range(1000, 2000), tmp_path) == []


@pytest.mark.long
def test_damaged_real_models_are_refused(tmp_path: Path, shared_data: Path) -> None:
    files = sorted((shared_data / "models/tflite").glob("mlperf_*.tflite"))
    samples = [Sample(path.stem, {path.name: path.read_bytes()}) for path in files]
    assert mutations.faults(samples, range(300), tmp_path) == []
