"""The source's own quantization in a chip's number format: scales of activations and of weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from modelbuild.graph.kept_quantization import CODES, Kept
from modelbuild.graph.model import Graph
from modelbuild.quantize.number_format import Formats, TensorFormat, express
from modelbuild.quantize.plan import Plan
from modelbuild.quantize.record import Record
from modelbuild.quantize.weighted import Weighted
from modelbuild.quantize.weights import weight_scales

METHOD = "source"  # in the record: the range, or the very scale, is the source file's
_WHOLE = 1e-3  # of a step: weights are float32 products of a code and a scale


def activation_grid(entry: Kept, form: TensorFormat) -> tuple[float, int]:
    """(scale, zero point): the entry's own where the chip has zero points and as many bits, so that each code
    of the file is one of the chip's; else the finest grid over the range of the codes."""
    if exact(entry, form):
        return entry.scale[0], entry.zero_point[0] - CODES[entry.dtype][0] + form.low
    return form.grid(*entry.range())


def exact(entry: Kept, form: TensorFormat) -> bool:
    """Whether the chip's codes can be the file's, but for a constant."""
    low, high = CODES[entry.dtype]
    return not form.symmetric and form.form == "free" and high - low == form.high - form.low


def of_roots(entries: Mapping[str, Kept], graph: Graph, plan: Plan) -> dict[str, Kept]:
    """Root of the plan -> the entry that it goes by: its own, else that of the first tensor to share it."""
    found: dict[str, Kept] = {}
    for name in plan.tensors(graph):
        entry = entries.get(name)
        if entry is not None and entry.axis is None:
            found.setdefault(plan.root(name), entry)
    own = {plan.root(name) for name in plan.tensors(graph)}
    found.update({n: entries[n] for n in own if n in entries and entries[n].axis is None})
    return found


def kept_scales(entry: Kept | None, found: Weighted, formats: Formats) -> NDArray[np.float64] | None:
    """The entry's scales, one an output channel, where the weights are whole steps of them that the chip's
    weights can hold; None where they must be quantized again: a zero point that takes them out of reach,
    channels that the chip lacks, powers of two, or weights that a pass has changed since."""
    if entry is None or len(entry.scale) not in (1, len(found.weight)):
        return None
    if len(entry.scale) > 1 and not formats.per_channel:
        return None
    scales = np.broadcast_to(np.array(entry.scale, np.float64), (len(found.weight),)).copy()
    if formats.activation.form == "power_of_two" and any(express(s, "power_of_two") != s for s in scales):
        return None
    steps = found.weight.astype(np.float64) / scales.reshape(-1, *([1] * (found.weight.ndim - 1)))
    codes = np.rint(steps)
    lowest = -(1 << (formats.weight_bits - 1))
    if not np.isfinite(steps).all() or (np.abs(steps - codes) > _WHOLE).any():
        return None
    return scales if codes.min(initial=0) >= lowest and codes.max(initial=0) < -lowest else None


def scales_of(
    entry: Kept | None, found: Weighted, formats: Formats, clip: tuple[int, ...] | None = None
) -> tuple[NDArray[np.float64], bool]:
    """The scales [O] of weights, and whether they are the source's."""
    kept = None if clip is not None else kept_scales(entry, found, formats)
    if kept is not None:
        return kept, True
    form = formats.activation.form
    return weight_scales(found.weight, formats.weight_bits, formats.per_channel, form, clip), False


def notes(entries: Mapping[str, Kept], graph: Graph, formats: Formats, record: Record) -> list[str]:
    """What of the source's quantization the chip could not take as it is, in sentences."""
    lines, form = record.by_name(), formats.activation
    activations = [name for name in entries if name in lines and name not in graph.constants]
    again = [name for name in activations if not exact(entries[name], form)]
    weights = [name for name, line in lines.items() if line.kind == "weight" and name in entries]
    found = []
    if again:
        kind = formats.to_text().split()[0].partition("=")[2]
        found.append(
            f"{len(again)} tensors keep the source's range, but not its codes: this chip's are {kind}"
            + (" without a zero point" if form.symmetric else "")
        )
    lost = [name for name in weights if lines[name].method != METHOD]
    if lost:
        found.append(f"{_listed(lost)} are quantized again: the chip's cannot be as they are")
    without = [name for name, line in lines.items() if line.kind == "weight" and name not in entries]
    if without:
        why = "the source has no scales for them, or a pass mixed channels of several"
        found.append(f"{_listed(without)} are quantized here: {why}")
    return found


def _listed(weights: Sequence[str]) -> str:
    others = f" and {len(weights) - 1} others" if len(weights) > 1 else ""
    return f"the weights `{weights[0]}`{others}"
