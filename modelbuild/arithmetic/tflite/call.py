"""One operator of a quantized graph: its inputs as codes, their quantization, and what its output must be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from modelbuild.arithmetic.tflite.fixed_point import rounded
from modelbuild.errors import ModelbuildError
from modelbuild.graph.kept_quantization import CODES, Kept
from modelbuild.graph.model import Graph, Node

Codes = NDArray[np.int64]


@dataclass(frozen=True)
class Operand:
    """An input: codes with their quantization; or a number, an index, a shape, without one."""

    name: str
    values: NDArray[Any]
    entry: Kept | None

    @property
    def scale(self) -> float:
        """The scale of a per-tensor quantization."""
        assert self.entry is not None
        return self.entry.scale[0]

    @property
    def zero(self) -> int:
        """Its zero point."""
        assert self.entry is not None
        return self.entry.zero_point[0]

    @property
    def steps(self) -> Codes:
        """The codes less the zero point."""
        return self.values.astype(np.int64) - self.zero

    @property
    def reals(self) -> NDArray[Any]:
        """The numbers: float32 where codes stand for them (dequantize.h)."""
        if self.entry is None:
            return self.values
        return (np.float32(self.scale) * self.steps.astype(np.float32)).astype(np.float32)


@dataclass(frozen=True)
class Call:
    """`bounds` are the real limits of a fused activation, `target` the quantization behind it."""

    graph: Graph
    node: Node
    inputs: tuple[Operand | None, ...]
    target: Kept
    bounds: tuple[float, float]

    def operand(self, index: int) -> Operand:
        """An input that must be there and quantized."""
        found = self.inputs[index] if index < len(self.inputs) else None
        if found is None or found.entry is None:
            name = self.node.inputs[index] if index < len(self.node.inputs) else index
            self.fail(f"the source does not quantize its input `{name}`")
        return found

    def optional(self, index: int) -> Operand | None:
        """An input that may be absent."""
        return self.inputs[index] if index < len(self.inputs) else None

    @property
    def scale(self) -> float:
        """The output's scale."""
        return self.target.scale[0]

    @property
    def zero(self) -> int:
        """The output's zero point."""
        return self.target.zero_point[0]

    def shape(self) -> tuple[int, ...]:
        """The shape of the first output."""
        return self.graph.shapes[self.node.outputs[0]]

    def limits(self) -> tuple[int, int]:
        """The least and the greatest code, the fused activation's limits drawn in."""
        ends = []
        for code, end in zip(CODES[self.target.dtype], self.bounds, strict=True):
            if np.isinf(end):
                ends.append(code)
                continue
            step = self.zero + rounded(float(np.float32(end) / np.float32(self.scale)))
            ends.append(max(code, step) if end == self.bounds[0] else min(code, step))
        return ends[0], max(ends)

    def saturated(self, codes: Any) -> Codes:
        """Within the limits."""
        return np.clip(np.asarray(codes, np.int64), *self.limits())

    def fail(self, why: str) -> NoReturn:
        """Refuses the node."""
        raise ModelbuildError(f"tflite@1 cannot run {self.node.op} `{self.node.name}`", why=why)
