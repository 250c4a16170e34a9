"""Which nodes' quantization the outputs feel: the noise that a record predicts, and what int16 would win."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from modelbuild.graph.model import Graph
from modelbuild.quantize.builders.unary import BUILDERS as TABLES
from modelbuild.quantize.mixed_bits import WIDE, Layer, layers, wide_macs
from modelbuild.quantize.number_format import bits_of
from modelbuild.quantize.plan import make_plan
from modelbuild.quantize.predict import decibels
from modelbuild.quantize.record import Record, TensorRecord
from modelbuild.quantize.split_record import of_record

REST = 4.0**-8  # of the noise power of 8 bits, what 16 bits leave: their steps are 1/256
# Operators that are tables: where these have 256 entries, a 16-bit tensor gives up its lower half.
_BY_BYTES = frozenset({*TABLES, "Softmax"})


@dataclass(frozen=True)
class NodeSensitivity:
    """A node's part of the noise. `gain_db`: what the model's SNR is predicted to win when the tensor that it
    leaves and its weights have 16 bits. `activations` is None where the tensor has another one's scale, and
    `weights` where there are none. A model's input stands as a node without an operator."""

    node: str
    op: str
    tensor: str
    activations: str | None
    weights: str | None
    output_snr_db: float
    gain_db: float
    macs: int

    @property
    def setting(self) -> dict[str, str]:
        """What `nodes:` would have to say of it to make it int16."""
        wanted = {"activations": self.activations, "weights": self.weights}
        return {key: WIDE for key, form in wanted.items() if form is not None and bits_of(form) < 16}


@dataclass(frozen=True)
class Sensitivity:
    """`nodes` are in descending order of gain. `predicted_snr_db`: the model's, mean over the outputs."""

    predicted_snr_db: float
    macs: int
    macs_int16: int
    nodes: tuple[NodeSensitivity, ...]

    def to_json(self) -> dict[str, Any]:
        """The key `sensitivity` of quantize.json."""
        return {**asdict(self), "nodes": [asdict(node) for node in self.nodes]}


def sensitivity(graph: Graph, record: Record, *, wide_tables: bool = True) -> Sensitivity:
    """Of every node, from what the record predicts of each tensor and of weights; runs no inference.
    `wide_tables`: whether the chip's functions take 16 bits."""
    graph = of_record(graph, record).graph
    plan = make_plan(graph)
    listed = layers(graph, plan)
    lines = {line.name: line for line in record.tensors}
    noise = noises(record)
    total = sum(noise.values())
    winning = gains(listed, record, wide_tables)
    found = []
    for layer in listed:
        own = [name for name in layer.step.outputs if name in noise]
        names = [*own, *([layer.weights] if layer.weights in noise else [])]
        if not names:
            continue
        found.append(
            NodeSensitivity(
                layer.node,
                layer.step.node.op,
                layer.step.outputs[0],
                lines[own[0]].type if own else None,
                lines[layer.weights].type if layer.weights in lines else None,
                decibels(1.0, sum(noise[name] for name in names)),
                _gain(total, sum(winning.get(name, 0.0) for name in names)),
                layer.macs,
            )
        )
    for name in graph.inputs:
        if name in noise:
            gain, own_snr = _gain(total, winning.get(name, 0.0)), decibels(1.0, noise[name])
            found.append(NodeSensitivity(name, "", name, lines[name].type, None, own_snr, gain, 0))
    ranked = sorted(found, key=lambda node: -node.gain_db)
    wide = wide_macs(listed, {line.name: line.bits for line in record.tensors})
    return Sensitivity(decibels(1.0, total), sum(x.macs for x in listed), wide, tuple(ranked))


def noises(record: Record) -> dict[str, float]:
    """Root or weights -> predicted noise power at the outputs. Where no gradient is known, the tensor's own
    noise stands for it."""
    found = {}
    for line in record.tensors:
        ratio = line.output_snr_db if line.output_snr_db is not None else line.snr_db
        if line.method != "shared" and ratio is not None:
            found[line.name] = 10.0 ** (-ratio / 10.0)
    return found


def gains(listed: Sequence[Layer], record: Record, wide_tables: bool) -> dict[str, float]:
    """Root or weights of 8 bits or fewer -> the noise power that 16 bits would take away; 0 where all that
    reads a tensor are functions, and the chip's take bytes only."""
    readers: dict[str, list[str]] = {}
    for layer in listed:
        for root in layer.reads:
            readers.setdefault(root, []).append(layer.step.node.op)
    noise = noises(record)
    return {
        line.name: 0.0 if not wide_tables and _only_bytes(line, readers) else noise[line.name] * (1.0 - REST)
        for line in record.tensors
        if line.name in noise and line.bits < 16
    }


def _only_bytes(line: TensorRecord, readers: dict[str, list[str]]) -> bool:
    ops = readers.get(line.name, [])
    return line.kind == "activation" and bool(ops) and all(op in _BY_BYTES for op in ops)


def _gain(total: float, gain: float) -> float:
    """dB that the model wins when `gain` of the noise `total` is taken away."""
    left = total - gain
    return 0.0 if gain <= 0.0 else round(10.0 * math.log10(total / max(left, total * REST)), 2)
