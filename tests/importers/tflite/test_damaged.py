"""Damaged TFLite files: loaded or refused with a clean error, within 10 s and 1 GB."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.importers import mutations
from tests.importers.mutations import Sample
from tests.importers.tflite import judge
from tests.importers.tflite.builder import Quantized, TFLite
from tests.importers.tflite.operator_cases import CASES


def _repeated(times: int) -> TFLite:
    """A constant that TILE makes `times` as long, over and over."""
    model = TFLite()
    last = model.constant("c", np.ones((1, 64), np.float32))
    size = 64
    repeats = model.constant("repeats", np.array([1, times], np.int32))
    for index in range(12):
        size *= times
        after = model.tensor(f"t{index}", [1, size])
        model.add("TILE", [last, repeats], [after])
        last = after
    x, y = model.tensor("x", [1, 1]), model.tensor("y", [1, size])
    model.add("ADD", [x, last], [y])
    return model


def test_constants_that_grow_without_bound_are_refused(tmp_path: Path) -> None:
    model = _repeated(4)
    x, y = len(model.tensors) - 2, len(model.tensors) - 1
    assert "from constants alone" in judge.refused(model.build([x], [y]), tmp_path)


def _shared(scales: list[float]) -> bytes:
    model, size = TFLite(), 2**20
    x = last = model.tensor("x", [1, size])
    for index, scale in enumerate(scales):
        w = model.constant(f"w{index}", np.ones(size, np.int8), Quantized([scale], [0]))
        y = model.tensor(f"y{index}", [1, size])
        model.add("ADD", [last, w], [y])
        last = y
    return model.build([x], [last])


def test_tensors_that_share_one_buffer_are_bounded_together(tmp_path: Path) -> None:
    assert "its constants overlap" in judge.refused(_shared([float(n) for n in range(1, 41)]), tmp_path)
    assert len(judge.imported(_shared([2.0] * 40), tmp_path).nodes) == 40


def test_a_file_cut_short_anywhere_is_refused(tmp_path: Path) -> None:
    model = _repeated(1)
    data = model.build([len(model.tensors) - 2], [len(model.tensors) - 1])
    assert judge.imported(data, tmp_path).outputs == ["y"]
    for size in range(8, len(data), 59):
        assert judge.refused(data[:size], tmp_path)


def _samples(step: int) -> list[Sample]:
    behind = ("", "RESHAPE", "TRANSPOSE")
    return [
        Sample(case.name, {"m.tflite": case.build(behind[index % 3])[0]})
        for index, case in enumerate(CASES[::step])
    ]


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    assert mutations.faults(_samples(5), range(60), tmp_path) == []


@pytest.mark.long
def test_a_thousand_damaged_files_are_refused(tmp_path: Path) -> None:
    assert mutations.faults(_samples(1), range(1000, 2000), tmp_path) == []


@pytest.mark.long
def test_damaged_real_models_are_refused(tmp_path: Path, shared_data: Path) -> None:
    files = sorted((shared_data / "models/tflite").glob("mlperf_*.tflite"))
    samples = [Sample(path.stem, {path.name: path.read_bytes()}) for path in files]
    assert mutations.faults(samples, range(300), tmp_path) == []
