"""A small TFLite model of one operator, and a sample for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tests.importers.tflite.builder import Options, TFLite

RANDOM = np.random.default_rng(7)


@dataclass(frozen=True)
class Data:
    """An input of the model."""

    shape: Sequence[int]
    kind: str = "float32"
    positive: bool = False


@dataclass(frozen=True)
class Case:
    """One operator; numpy arrays among `inputs` are constants."""

    name: str
    op: str
    inputs: Sequence[Any]
    options: Options = field(default_factory=dict)
    outputs: Sequence[str] = ("float32",)
    shape: Sequence[int] = (1,)  # of the outputs as the file has them; the runtime mostly finds it itself

    def build(self, behind: str) -> tuple[bytes, dict[str, Any]]:
        """The file, and a sample. `behind` an input of the operator's own shape, a RESHAPE or a TRANSPOSE of
        another, so that the data come in another order of the axes."""
        model, feeds = TFLite(), {}
        inputs, numbers = [], []
        for index, item in enumerate(self.inputs):
            if not isinstance(item, Data):
                numbers.append(-1 if item is None else model.constant(f"c{index}", item))
                continue
            feed, number, name = _entry(model, item, behind, index)
            inputs.append(name)
            numbers.append(number)
            feeds[f"x{index}"] = feed
        outputs = [model.tensor(f"y{index}", self.shape, kind) for index, kind in enumerate(self.outputs)]
        model.add(self.op, numbers, outputs, self.options)
        return model.build(inputs, outputs), feeds


def _entry(model: TFLite, item: Data, behind: str, index: int) -> tuple[Any, int, int]:
    shape = list(item.shape)
    if behind == "TRANSPOSE" and len(shape) > 1:
        perm = list(np.roll(np.arange(len(shape)), 1))
        outer = [0] * len(shape)
        for axis, source in enumerate(perm):
            outer[source] = shape[axis]
        parameter = model.constant(f"perm{index}", np.array(perm, np.int32))
    elif behind == "RESHAPE":
        outer = [1, int(np.prod(shape))]
        parameter = model.constant(f"shape{index}", np.array(shape, np.int32))
    else:
        name = model.tensor(f"x{index}", shape, item.kind)
        return _sample(item, shape), name, name
    name = model.tensor(f"x{index}", outer, item.kind)
    number = model.tensor(f"inner{index}", shape, item.kind)
    options: Options = {0: ("v", shape)} if behind == "RESHAPE" else {}
    model.add(behind, [name, parameter], [number], options)
    return _sample(item, outer), number, name


def _sample(item: Data, shape: Sequence[int]) -> Any:
    if item.kind == "bool":
        return RANDOM.integers(0, 2, shape).astype(bool)
    if item.kind != "float32":
        return RANDOM.integers(0, 5, shape).astype(item.kind)
    value = RANDOM.standard_normal(shape).astype(np.float32) * 2
    return np.abs(value) + np.float32(0.1) if item.positive else value
