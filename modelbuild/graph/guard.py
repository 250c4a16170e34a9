"""The guard: a rewritten graph must give what its source gives."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbuild.errors import EXIT_FAILED, ModelbuildError
from modelbuild.graph.model import Array, Graph
from modelbuild.graph.session import FloatSession

BOUND = 1e-4  # largest difference allowed, as a fraction of the output's range
# An output that hardly varies is measured against this part of its magnitude. Then 1e-4 of it are 84 steps of
# float32: sums in another order make up to 24 in the 52 layers of a MobileNetV2 whose output is constant.
_SMALLEST_RANGE = 1e-1
_RANDOM_SAMPLES = 2
_MOVING = ("Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Slice", "DepthToSpace")


@dataclass(frozen=True)
class OutputDifference:
    """`error` = max |before - after| / range of before, over all samples."""

    name: str
    error: float


@dataclass(frozen=True)
class Difference:
    """What `compare` measured, and the bound that it is judged by."""

    outputs: tuple[OutputDifference, ...]
    bound: float = BOUND

    @property
    def worst(self) -> OutputDifference:
        """The output that differs most."""
        return max(self.outputs, key=lambda item: item.error)

    def to_json(self) -> dict[str, object]:
        """The object `difference` of import.json and lower.json."""
        return {
            "outputs": [{"name": item.name, "error": item.error} for item in self.outputs],
            "bound": self.bound,
        }


def compare(
    before: Graph | Path,
    after: Graph,
    inputs: Iterable[Mapping[str, Array]] | None = None,
    seed: int = 0,
    bound: float = BOUND,
    random: int = _RANDOM_SAMPLES,
) -> Difference:
    """Runs both on so many random samples and on `inputs`. `before` may be the source file itself.

    The outputs of both must have the same names. A value that is infinite or not a number in one must be so
    in the other.
    """
    old, new = FloatSession(before), FloatSession(after)
    missing = [name for name in new.outputs if name not in old.outputs]
    if missing:
        raise ModelbuildError(f"the output `{missing[0]}` is not in the source", exit_code=EXIT_FAILED)
    scores = {name: _Score(_is_quantized(after, name)) for name in new.outputs}
    for sample in [*random_inputs(after, seed, random), *(inputs or ())]:
        expected = old.run({name: sample[name].astype(dtype) for name, (_, dtype) in old.inputs.items()})
        found = new.run({name: sample[name] for name in new.inputs})
        for name, score in scores.items():
            score.add(expected[name], found[name])
    return Difference(tuple(OutputDifference(name, score.error()) for name, score in scores.items()), bound)


def check(
    before: Graph | Path,
    after: Graph,
    inputs: Iterable[Mapping[str, Array]] | None = None,
    seed: int = 0,
    bound: float = BOUND,
    random: int = _RANDOM_SAMPLES,
    what: str = "the optimizer",
    advice: str = "report it with the model: a rewriting of modelbuild's is wrong here",
) -> Difference:
    """As `compare`; raises with exit code 1, naming the output and `what`, where the bound is broken."""
    difference = compare(before, after, inputs, seed, bound, random)
    worst = difference.worst
    if not worst.error <= bound:
        raise ModelbuildError(
            f"{what} changed the model: output `{worst.name}` differs by {worst.error:.2g} of its range",
            why=f"at most {bound:g} is allowed",
            advice=advice,
            exit_code=EXIT_FAILED,
        )
    return difference


def random_inputs(graph: Graph, seed: int, count: int = _RANDOM_SAMPLES) -> list[dict[str, Array]]:
    """Samples for `graph`: floats of a standard normal, then uniform in [0, 1); integers small and legal."""
    generator = np.random.default_rng(seed)
    return [{name: _random(generator, graph, name, index) for name in graph.inputs} for index in range(count)]


def _random(generator: np.random.Generator, graph: Graph, name: str, index: int) -> Array:
    shape, dtype = graph.shapes[name], graph.dtypes[name]
    if np.issubdtype(dtype, np.floating):
        values = generator.standard_normal(shape) if index == 0 else generator.random(shape)
        return values.astype(dtype)
    high = 256 if dtype == np.uint8 else 128 if dtype == np.int8 else 2
    return generator.integers(0, high, shape).astype(dtype)


class _Score:
    """The largest difference and the range of one output over all samples. Of codes, one step is none: a real
    number half way between two is rounded either way."""

    def __init__(self, is_quantized: bool) -> None:
        self.is_quantized = is_quantized
        self.low, self.high, self.largest = np.inf, -np.inf, 0.0

    def add(self, expected: Array, found: Array) -> None:
        if expected.shape != found.shape:
            self.largest = np.inf
            return
        a, b = _as_float(expected), _as_float(found)
        if self.is_quantized:
            b = np.where(np.abs(a - b) <= 1, a, b)
        finite = np.isfinite(a)
        if not np.array_equal(finite, np.isfinite(b)):
            self.largest = np.inf
        elif finite.any():
            self.low, self.high = min(self.low, a[finite].min()), max(self.high, a[finite].max())
            self.largest = max(self.largest, float(np.abs(a[finite] - b[finite]).max()))

    def error(self) -> float:
        if self.largest == 0.0 or not np.isfinite(self.largest):
            return self.largest
        span = self.high - self.low
        return float(self.largest / max(span, max(abs(self.low), abs(self.high)) * _SMALLEST_RANGE, 1e-30))


def _is_quantized(graph: Graph, output: str) -> bool:
    """Whether a QuantizeLinear makes the output, or makes what only moves on the way there."""
    makers = {name: node for node in graph.nodes for name in node.outputs}
    node = makers.get(output)
    while node is not None and node.op in _MOVING:
        node = makers.get(node.inputs[0])
    return node is not None and node.op == "QuantizeLinear"


def _as_float(array: Any) -> NDArray[np.float64]:
    return np.asarray(array, dtype=np.float64)
