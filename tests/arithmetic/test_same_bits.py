"""The same integers of every operator whatever the number of threads and whichever kernels the BLAS picks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import hashlib
import numpy as np
from modelbuild.arithmetic.fixed_model import QuantizedTensor
from modelbuild.arithmetic.multiplier_shift import run
from tests.arithmetic.dice import Dice, one
from tests.arithmetic.random_models import BUILDERS

rng = np.random.default_rng(1)
digest = hashlib.sha256()
for bits, channels, group, kernel, stride in (
    (8, 64, 1, 3, 1), (8, 700, 1, 3, 1), (16, 96, 1, 3, 1),
    (8, 40, 40, 3, 2), (8, 600, 1, 1, 1), (16, 40, 40, 3, 1),
):
    x = QuantizedTensor("x", (1, channels, 20, 20), bits, True, 1.0, 3)
    y = QuantizedTensor("y", (1, 40, 20 // stride, 20 // stride), bits, True, 1.0, -5)
    dtype = np.int8 if bits == 8 else np.int16
    constants = {
        "weight": rng.integers(-127, 128, (40, channels // group, kernel, kernel)).astype(dtype),
        "bias": rng.integers(-9999, 9999, 40).astype(np.int32 if bits == 8 else np.int64),
        "multiplier": rng.integers(1, 2**15, 40).astype(np.int32),
        "shift": rng.integers(20, 34, 40).astype(np.int32),
    }
    pads = (kernel // 2,) * 4
    p = {"strides": (stride, stride), "pads": pads, "dilations": (1, 1), "group": group, "input_zero": 3}
    p |= {"output_zero": -5, "low": y.low, "high": y.high}
    values = rng.integers(x.low, x.high + 1, x.shape).astype(x.dtype)
    digest.update(run(one("conv", [x, y], p, constants), {"x": values})["y"].tobytes())
for kind, build in sorted(BUILDERS.items()):
    for seed in range(6):
        dice = Dice(seed, 8 if seed % 2 else 16)
        model = build(dice)
        for name, values in sorted(run(model, dice.inputs(model), keep="all").items()):
            digest.update(values.tobytes())
print(digest.hexdigest())
"""
LEAST = "X86_V4 AVX512_ICL X86_V3 AVX512_SPR"  # numpy's own loops without them
SETTINGS = (
    {"OPENBLAS_NUM_THREADS": "1"},
    {"OPENBLAS_NUM_THREADS": "2"},
    {"OPENBLAS_NUM_THREADS": "1", "OPENBLAS_CORETYPE": "Prescott", "NPY_DISABLE_CPU_FEATURES": LEAST},
    {"OPENBLAS_NUM_THREADS": "2", "OPENBLAS_CORETYPE": "Haswell"},
)


@pytest.mark.usefixtures("all_processors")
def test_threads_and_blas_kernels_change_nothing() -> None:
    root = Path(__file__).resolve().parents[2]
    found = []
    for setting in SETTINGS:
        environment = {**os.environ, **setting, "PYTHONPATH": str(root)}
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True
        )
        found.append(done.stdout.strip())
    assert len(set(found)) == 1 and len(found[0]) == 64
