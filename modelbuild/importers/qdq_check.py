"""The import of a quantized ONNX file against the file: its quantization put back, both under onnxruntime."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbuild.errors import EXIT_FAILED, ModelbuildError
from modelbuild.graph.guard import random_inputs
from modelbuild.graph.kept_quantization import CODES, Kept, kept
from modelbuild.graph.model import Array, Graph, Node
from modelbuild.graph.rewrite import copied
from modelbuild.graph.session import FloatSession

# A value halfway between two codes may be rounded either way, and behind the layers that follow one such step
# may become a few; in networks that amplify noise (integer kernels of a YuNet on noise: 12 % of the values,
# up to 5 steps) the sum of all distances stays small. What is wrong (a scale, an axis, a missing activation)
# is wrong in most values.
MOST_STEPS = 3.0
SHARE_BEYOND_ONE = 0.01
SHARE_OF_SIGNAL = 0.15
_SLACK = 1e-3  # of a step: outputs are compared as floats
_CODES = 255  # an output without a scale of its own has steps of its range by this


@dataclass
class _Steps:
    """How far one output is off, in steps, over all samples."""

    worst: float = 0.0
    beyond_one: int = 0
    values: int = 0
    share_of_signal: float = 0.0
    expected: list[NDArray[np.float64]] = field(default_factory=list)
    found: list[NDArray[np.float64]] = field(default_factory=list)

    def measure(self, step: float | None) -> None:
        a, b = np.concatenate(self.expected), np.concatenate(self.found)
        step = step or max(float(np.ptp(a)) / _CODES, 1e-30)
        off = np.abs(a - b) / step
        self.worst, self.values = float(off.max(initial=0.0)), off.size
        self.beyond_one = int((off > 1 + _SLACK).sum())
        signal = float(np.abs(a - a.mean()).sum()) / step
        self.share_of_signal = float(off.sum()) / max(signal, 1e-30)

    @property
    def right(self) -> bool:
        few = max(1, int(self.values * SHARE_BEYOND_ONE))
        near = self.worst <= MOST_STEPS + _SLACK and self.beyond_one <= few
        return near or self.share_of_signal <= SHARE_OF_SIGNAL


def check(path: Path, graph: Graph) -> None:
    """Runs both on random inputs. Raises (exit 1) where an output of `graph`, just made of the file `path`,
    is off by more than three codes anywhere or by more than one in 1 % of its values, unless all that it is
    off by is at most 15 % of how much it varies."""
    entries = kept(graph)
    before, after = FloatSession(path), FloatSession(requantized(graph))
    scores = {name: _Steps() for name in graph.outputs}
    for sample in _samples(graph, entries):
        expected, found = before.run(sample), after.run(sample)
        for name, score in scores.items():
            score.expected.append(np.asarray(expected[name], np.float64).reshape(-1))
            score.found.append(np.asarray(found[name], np.float64).reshape(-1))
    for name, score in scores.items():
        whole = graph.dtypes[name].kind in "iu"
        score.measure(1.0 if whole else entries[name].scale[0] if name in entries else None)
        if not score.right:
            raise ModelbuildError(
                f"the import changed the model: output `{name}` is off by {score.worst:.3g} steps",
                why=f"{MOST_STEPS:g} are allowed, more than one in {SHARE_BEYOND_ONE:.0%} of the values, or "
                f"{SHARE_OF_SIGNAL:.0%} of how it varies, which it is by {score.share_of_signal:.0%}",
                advice="report it with the model: the reading of its quantization is wrong here",
                exit_code=EXIT_FAILED,
            )


def requantized(graph: Graph) -> Graph:
    """`graph` with every activation that has an entry rounded to its codes' values, as the file does it."""
    result = copied(graph)
    entries = {n: e for n, e in kept(graph).items() if n not in graph.constants and e.axis is None}
    nodes: list[Node] = []
    for name in graph.inputs:
        if name in entries:
            for node in result.nodes:
                node.inputs = [f"{name}/rounded" if item == name else item for item in node.inputs]
            nodes += _rounding(result, name, f"{name}/rounded", entries[name])
    for node in result.nodes:
        raw = {name: f"{name}/raw" for name in node.outputs if _is_rounded(node, name, entries)}
        node.outputs = [raw.get(name, name) for name in node.outputs]
        nodes.append(node)
        for name, made in raw.items():
            result.shapes[made], result.dtypes[made] = result.shapes[name], result.dtypes[name]
            nodes += _rounding(result, made, name, entries[name])
    result.nodes = nodes
    return result


def _is_rounded(node: Node, name: str, entries: dict[str, Kept]) -> bool:
    again = node.op == "Identity" and entries.get(node.inputs[0]) == entries.get(name)
    return name in entries and not again and node.op != "DequantizeLinear"


def _rounding(graph: Graph, source: str, target: str, entry: Kept) -> list[Node]:
    """scale * clip(round(source / scale)): operators that every width has, QuantizeLinear has not."""
    low, high = (end - entry.zero_point[0] for end in CODES[entry.dtype])
    numbers: list[str] = []
    for role, value in (("scale", entry.scale[0]), ("low", low), ("high", high)):
        name = f"{target}/{role}"
        graph.constants[name] = np.asarray(value, np.float32)
        numbers.append(name)
    parts: list[tuple[str, list[str]]] = [("Div", [numbers[0]]), ("Round", []), ("Clip", numbers[1:])]
    parts.append(("Mul", [numbers[0]]))
    nodes, last = [], source
    for index, (op, further) in enumerate(parts):
        made = target if index == len(parts) - 1 else f"{target}/{op}"
        nodes.append(Node(op, f"{target}/{op}", [last, *further], [made]))
        graph.shapes[made], graph.dtypes[made] = graph.shapes[source], np.dtype(np.float32)
        last = made
    return nodes


def _samples(graph: Graph, entries: dict[str, Kept]) -> list[dict[str, Array]]:
    """Random inputs; a float input that is quantized covers its codes."""
    samples = random_inputs(graph, 0)
    generator = np.random.default_rng(0)
    for sample in samples:
        for name in graph.inputs:
            if name in entries and graph.dtypes[name] == np.float32:
                low, high = entries[name].range()
                values: Any = generator.uniform(low, high, graph.shapes[name])
                sample[name] = values.astype(np.float32)
    return samples
