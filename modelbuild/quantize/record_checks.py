"""A record held against the model that it is to quantize: nothing in it may be missing, or without effect."""

from __future__ import annotations

import math
from collections.abc import Iterator

from modelbuild.graph.model import Graph
from modelbuild.quantize.plan import Plan
from modelbuild.quantize.record import Record
from modelbuild.quantize.record_places import line_of_correction, line_of_tensor
from modelbuild.quantize.record_reading import AGAIN
from modelbuild.quantize.record_sums import LINES
from modelbuild.quantize.record_text import ROUND
from modelbuild.quantize.weighted import weighted
from modelbuild.quantize.weights import CLIP_ONE


def check_record(graph: Graph, plan: Plan, record: Record) -> None:
    """Raises, with the record's line, on what is of another model or of none."""
    if record.model != graph.name:
        record.places.refuse(
            "model",
            f"the quantization record is for the model {record.model!r}",
            why=f"this one is {graph.name!r}",
            advice=f"write `model: {graph.name}` into it if they are the same, {AGAIN}",
        )
    weights: set[str] = set()
    shapes: dict[str, tuple[int, ...]] = {}
    for step in plan.steps:
        found = weighted(graph, step.node)
        if found is not None:
            weights.add(found.name)
            shapes[step.outputs[0]] = found.weight.shape
    _check_lines(graph, plan, record, weights)
    _check_corrections(record, shapes)


def _check_lines(graph: Graph, plan: Plan, record: Record, weights: set[str]) -> None:
    tensors = plan.tensors(graph)
    lines = record.by_name()
    for name, of in (
        *((name, "tensor") for name in tensors),
        *((name, "weights") for name in sorted(weights)),
    ):
        if name not in lines:
            record.places.refuse(
                LINES,
                f"the quantization record has no line for the {of} {name!r}",
                why="it was made for another model or chip, or the line was taken out",
                advice=f"put the line back, {AGAIN}",
            )
    kinds = {name: _kind(graph, name) for name in tensors} | dict.fromkeys(weights, "weight")
    for line in record.tensors:
        if kinds.get(line.name) != line.kind:
            what = f"is {kinds[line.name]}" if line.name in kinds else "is not in the fixed-point model"
            record.places.refuse(
                line_of_tensor(line.name),
                f"the quantization record has {line.kind} {line.name!r}, which {what}",
                why="it was made for another model, or the line was edited",
                advice=f"take the line out, {AGAIN}" if line.name not in kinds else "quantize again",
            )


def _kind(graph: Graph, name: str) -> str:
    return "input" if name in graph.inputs else "output" if name in graph.outputs else "activation"


def _check_corrections(record: Record, shapes: dict[str, tuple[int, ...]]) -> None:
    """`shapes`: of the weights that make a tensor. (Factors are checked where they are read.)"""
    for kind in ("bias", "clip", ROUND):
        for name, values in record.corrections.get(kind, {}).items():
            first = next(iter(values), 0)
            key = line_of_correction(kind, name, first if kind == ROUND else None)
            if name not in shapes:
                record.places.refuse(
                    key,
                    f"the quantization record corrects {name!r}, which no weights make",
                    why=f"`correct {kind}` names the tensor that an operator with constant weights leaves",
                    advice="take the line out",
                )
            for channel, why in _wrong(kind, values, shapes[name]):
                record.places.refuse(
                    line_of_correction(kind, name, channel) if kind == ROUND else key,
                    f"the record's `correct {kind}` of {name!r} cannot be used",
                    why=why,
                    advice=f"edit the line, {AGAIN}",
                )


def _wrong(kind: str, values: tuple[int, ...], shape: tuple[int, ...]) -> Iterator[tuple[int, str]]:
    """Channels, and what is wrong with their numbers."""
    channels, each = shape[0], math.prod(shape[1:])
    if kind == ROUND:
        for channel, bits in zip(values[::2], values[1::2], strict=True):
            if channel >= channels:
                yield channel, f"channel {channel} is not one of {channels}"
            if bits.bit_length() > each:
                yield channel, f"channel {channel} has {each} weights, and bits are set beyond"
        return
    if len(values) != channels:
        yield 0, f"it has {len(values)} numbers for {channels} channels"
    if kind == "clip":
        for channel, value in enumerate(values):
            if not 1 <= value <= CLIP_ONE:
                yield channel, f"{value} is not from 1 to {CLIP_ONE}, which stands for the largest |w|"
