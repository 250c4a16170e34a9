"""Damaged ONNX files, and that the harness sees what it is there to see."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from tests.graph.random_models import random_model
from tests.importers import mutations
from tests.importers.mutations import Sample


def onnx_samples(count: int) -> list[Sample]:
    models = [random_model(Random(seed)).SerializeToString() for seed in range(count)]
    return [Sample(f"random {seed}", {"m.onnx": data}) for seed, data in enumerate(models)]


def test_damaged_onnx_files_are_refused(tmp_path: Path) -> None:
    assert mutations.faults(onnx_samples(40), range(100), tmp_path) == []


def _crash() -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return mutations.LOADED


def _hang() -> int:
    while True:
        pass


def _devour() -> int:
    return len(bytes(2 * mutations.BYTES))


def _fail() -> int:
    raise KeyError("a bug")


@pytest.mark.parametrize(
    ("load", "words"),
    [(_crash, "SIGKILL"), (_hang, "more than 1 s"), (_devour, "MemoryError"), (_fail, "KeyError: 'a bug'")],
)
def test_the_harness_sees_every_fault(load: Callable[[], int], words: str) -> None:
    code, what = mutations.fate(load, seconds=1)
    assert code == mutations.BUG
    assert words in what


@pytest.mark.long
def test_a_thousand_damaged_onnx_files_are_refused(tmp_path: Path) -> None:
    assert mutations.faults(onnx_samples(300), range(1000, 2000), tmp_path) == []


@pytest.mark.long
def test_damaged_real_models_are_refused(tmp_path: Path, shared_data: Path) -> None:
    shapes = {"yunet_n_dynamic": {"input": [1, 3, 64, 64]}, "ppocr_cls_v2": {"x": [1, 3, 48, 192]}}
    samples = [
        Sample(name, {f"{name}.onnx": (shared_data / f"models/onnx/{name}.onnx").read_bytes()}, arguments)
        for name in ("mnist-8", "resnet20_cifar10", "yunet_n_320", "mlperf_resnet8", *shapes)
        for arguments in [{"input_shapes": shapes[name]} if name in shapes else {}]
    ]
    assert mutations.faults(samples, range(300), tmp_path) == []
