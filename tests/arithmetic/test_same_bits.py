"""The same integers whatever the number of threads and whichever kernels the BLAS picks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import hashlib
import numpy as np
from modelbuild.arithmetic.fixed_model import QuantizedTensor
from modelbuild.arithmetic.multiplier_shift import run
from tests.arithmetic.random_models import one

rng = np.random.default_rng(1)
digest = hashlib.sha256()
for bits, channels in ((8, 64), (8, 700), (16, 96)):
    x = QuantizedTensor("x", (1, channels, 20, 20), bits, True, 1.0, 3)
    y = QuantizedTensor("y", (1, 40, 20, 20), bits, True, 1.0, -5)
    dtype = np.int8 if bits == 8 else np.int16
    constants = {
        "weight": rng.integers(-127, 128, (40, channels, 3, 3)).astype(dtype),
        "bias": rng.integers(-9999, 9999, 40).astype(np.int32 if bits == 8 else np.int64),
        "multiplier": rng.integers(1, 2**15, 40).astype(np.int32),
        "shift": np.full(40, 26, np.int32),
    }
    p = {"strides": (1, 1), "pads": (1, 1, 1, 1), "dilations": (1, 1), "group": 1, "input_zero": 3}
    p |= {"output_zero": -5, "low": y.low, "high": y.high}
    values = rng.integers(x.low, x.high + 1, x.shape).astype(x.dtype)
    digest.update(run(one("conv", [x, y], p, constants), {"x": values})["y"].tobytes())
print(digest.hexdigest())
"""
SETTINGS = (
    {"OPENBLAS_NUM_THREADS": "1"},
    {"OPENBLAS_NUM_THREADS": "2"},
    {"OPENBLAS_NUM_THREADS": "1", "OPENBLAS_CORETYPE": "Prescott"},
    {"OPENBLAS_NUM_THREADS": "2", "OPENBLAS_CORETYPE": "Haswell"},
)


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
