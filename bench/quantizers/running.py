"""A model on the evaluation samples: `python -m bench.quantizers.running JOB.json`, a process of its own.

One program for the float model, every peer's QDQ file and our fixed model: onnxruntime that rewrites nothing
(fake quantization in float32), or the exact integers. Leaves one .npz a sample, outputs in order.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from modelbuild import api
from modelbuild.artifacts.runner import run_real

Array = NDArray[Any]
FIXED = ".fixed.onnx"


def main() -> None:
    """Runs what the job says: `model`, `samples`, `outputs` (a folder that is there)."""
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    run = (_fixed if job["model"].endswith(FIXED) else _float)(Path(job["model"]))
    for path in sorted(Path(job["samples"]).glob("*.npy")):
        found = run(np.load(path))
        np.savez(Path(job["outputs"]) / path.stem, *found)


def _float(path: Path) -> Callable[[Array], list[Array]]:
    options = ort.SessionOptions()
    options.log_severity_level = 3  # it warns of every weight that is not used
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda sample: [np.asarray(found) for found in session.run(None, {name: sample})]


def _fixed(path: Path) -> Callable[[Array], list[Array]]:
    runner = api.open_file(path, tail=False)
    name = runner.inputs[0].name

    def run(sample: Array) -> list[Array]:
        found = run_real(runner, {name: sample})
        return [found[port.name] for port in runner.outputs]

    return run


if __name__ == "__main__":
    main()
