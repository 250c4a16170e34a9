"""What every driver shares. It runs in a peer's interpreter: nothing but the standard library and numpy.

A job is a JSON object: `model` (an ONNX file of fixed shapes), `input`, `samples` (a folder of .npy files,
the input tensors of the calibration), `settings` (those of the peer in `tools`), `output` (the QDQ file to
leave) and `result` (the JSON file to leave: versions and seconds).
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

Job = dict[str, Any]


def samples(job: Job) -> Iterator[Any]:
    """The calibration's tensors, read when they are asked for."""
    for path in sorted(Path(job["samples"]).glob("*.npy")):
        yield np.load(path)


class Reader:
    """The samples as onnxruntime's calibration wants them, which Quark takes, too."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self.rewind()

    def __iter__(self) -> Iterator[Any]:
        return samples(self._job)

    def get_next(self) -> Any:
        return next(self._left, None)

    def rewind(self) -> None:
        self._left = ({self._job["input"]: x} for x in samples(self._job))

    def __len__(self) -> int:
        return len(list(Path(self._job["samples"]).glob("*.npy")))


def main(packages: Sequence[str], quantize: Callable[[Job], None]) -> None:
    """Does the job; the seconds are those of `quantize`, without the import of the peer."""
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    began = time.perf_counter()
    quantize(job)
    found = {
        "seconds": time.perf_counter() - began,
        "versions": {name: version(name) for name in packages},
    }
    Path(job["result"]).write_text(json.dumps(found), encoding="utf-8")
