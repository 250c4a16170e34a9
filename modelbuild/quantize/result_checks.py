"""What is probably wrong with a quantized model: findings MB301 to MB305 of docs/checks.md. No inference."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbuild.graph.check import Finding
from modelbuild.graph.model import Graph
from modelbuild.quantize.equalized import Equalization
from modelbuild.quantize.histogram import CHANNEL_BINS
from modelbuild.quantize.observations import Observations, TensorObservation
from modelbuild.quantize.plan import make_plan
from modelbuild.quantize.predict import decibels
from modelbuild.quantize.record import Record, TensorRecord
from modelbuild.quantize.split_observations import of_pieces
from modelbuild.quantize.split_record import of_record

# Losses count where they matter: noise at the outputs, relative to their own power.
MATTERS = 10 ** (-20.0 / 10)  # of dead channels, or of clipping: 20 dB by itself
LOST = 0.5  # of a channel's variance, that its error is or more
POOR = 20.0  # dB that are measured, below which a layer is asked for
NEAR = 6.0  # dB between prediction and measurement, above which the prediction explains nothing
LABELLED = 10  # samples, of which a working model gets some right
EXPLAINS = 0.5  # share of the predicted noise
CLIPPED = 0.01  # share of a tensor's values
WIDER = 2.0  # times the noise of a range that holds everything: less may be the best there is
Real = NDArray[np.float64]
Told = Iterator[tuple[str, str, str, str]]  # code, message, advice, tensor


def findings(
    record: Record, observations: Observations | None, measured: Mapping[str, Any] | None
) -> list[Finding]:
    """Warnings, in the order of their codes. `observations` (`as_held`) are missing where a record stands for
    them, `measured` (fixed.json) where there are no samples."""
    seen = observations.tensors if observations is not None else {}
    lines = [line for line in record.tensors if line.kind != "weight" and line.scale and line.name in seen]
    scale = observations.samples * max(observations.outputs, 1) if observations is not None else 1
    clipped = list(_saturated(lines, seen, scale))
    known = {node for *_, node in clipped}
    found = [
        *_constant(measured),
        *_lost([line for line in lines if line.name not in known], seen, scale),
        *clipped,
        *_explained(record, measured),
        *_nothing_right(measured),
    ]
    return [Finding(code, "warning", message, advice, node) for code, message, advice, node in found]


def _constant(measured: Mapping[str, Any] | None) -> Told:
    for output in (measured or {}).get("outputs", ()):
        if output.get("constant"):
            yield (
                "MB301",
                f"the output `{output['name']}` is the same in all {(measured or {})['samples']} samples, "
                "and that of the float model is not",
                "see which layer loses it, `compare --layers`; give it 16 bits, or another range method",
                output["name"],
            )


def as_held(observations: Observations, record: Record, graph: Graph) -> Observations:
    """What the tensors of the fixed-point model hold: where the record equalises, x / s and not x."""
    made = of_record(graph, record)
    graph, observations = made.graph, of_pieces(made, observations)
    plan = make_plan(graph)
    factors = Equalization.read(graph, plan, record.corrections.get("equalize", {}))
    return factors.observations(plan, observations)


def _lost(lines: list[TensorRecord], seen: Mapping[str, TensorObservation], scale: int) -> Told:
    """Channels that the scale of all does not suit, too small for a step or too large for the range, where
    that costs the outputs something."""
    for line in lines:
        observation = seen[line.name]
        if line.method == "shared" or len(observation.channel_low) < 2 or observation.channel_weight is None:
            continue
        held = observation.channel_weight * observation.channel_variance
        errors = _errors(observation, line, held)
        lost = (errors >= LOST * held) & (observation.channel_high > observation.channel_low)
        noise = float(errors[lost].sum()) / scale
        if noise > MATTERS:
            yield (
                "MB302",
                f"{int(lost.sum())} of {len(lost)} channels of `{line.name}` are lost: steps of "
                f"{line.scale:.2g} from {line.low:.4g} to {line.high:.4g} keep less than half of what they "
                f"hold, which alone leaves {decibels(1.0, noise):.1f} dB at the outputs",
                "equalise the channels (`equalize`), give the tensor 16 bits, or choose another range method",
                line.name,
            )


def _errors(observation: TensorObservation, line: TensorRecord, held: Real) -> Real:
    """[C]: the squared error of a channel times what it does to the outputs. Without a histogram of their own
    channels count as even between their ends; `held` is their variance, so weighed."""
    assert line.scale is not None
    split = observation.channels
    low, width = observation.channel_low, observation.channel_high - observation.channel_low
    bins = CHANNEL_BINS if split is None or split.weights is None else split.weights.shape[1]
    values = low[:, None] + (np.arange(bins) + 0.5) * (width / bins)[:, None]
    codes = np.rint(np.clip(values, line.low, line.high) / line.scale)
    squares = np.square(values - codes * line.scale)
    if split is not None and split.weights is not None:
        return np.asarray((squares * split.weights).sum(axis=1))
    even = np.maximum(np.square(width) / 12, np.finfo(np.float64).tiny)
    return np.asarray(held * squares.mean(axis=1) / even)


def _saturated(lines: list[TensorRecord], seen: Mapping[str, TensorObservation], scale: int) -> Told:
    """Tensors of which many values are outside of the range, where that costs the outputs something, and
    more than a wider range would."""
    for line in lines:
        histogram = seen[line.name].histogram
        if line.method in ("shared", "natural") or histogram.weights is None:
            continue
        centres = histogram.centres()
        over = np.maximum(centres - line.high, 0.0) + np.maximum(line.low - centres, 0.0)
        outside = over > (line.scale or 0.0) / 2
        share = float(histogram.counts[outside].sum()) / seen[line.name].count
        noise = float((histogram.weights * np.square(over)).sum()) / scale
        step = (max(histogram.high, 0.0) - min(histogram.low, 0.0)) / (1 << line.bits)
        rounding = float(histogram.weights.sum()) * step**2 / 12 / scale  # with a range that holds all values
        if share > CLIPPED and noise > MATTERS and noise > WIDER * rounding:
            yield (
                "MB303",
                f"{100 * share:.1f} % of the values of `{line.name}` are outside of its range, "
                f"{line.low:.4g} to {line.high:.4g}, which alone leaves {decibels(1.0, noise):.1f} dB at the "
                "outputs",
                "choose another range method (`range: {method: minmax}` keeps all that was seen), or 16 bits",
                line.name,
            )


def _explained(record: Record, measured: Mapping[str, Any] | None) -> Told:
    """The tensor that makes most of the noise, where the outputs are as poor as predicted."""
    levels = [entry["snr_db"] for entry in (measured or {}).get("outputs", ())]
    known = [
        (10 ** (-line.output_snr_db / 10), line)
        for line in record.tensors
        if line.output_snr_db is not None and line.method != "shared"
    ]
    total = sum(noise for noise, _ in known)
    if not levels or min(levels) >= POOR or len(known) < 2 or total <= 0.0:
        return
    if abs(decibels(1.0, total) - min(levels)) > NEAR:
        return  # the loss has another reason, such as calibration samples unlike the measured ones
    noise, worst = max(known, key=lambda pair: pair[0])
    if noise >= EXPLAINS * total:
        rest = decibels(1.0, total - noise)
        yield (
            "MB304",
            f"`{worst.name}` ({worst.kind}, {worst.type}) makes {100 * noise / total:.0f} % of the noise "
            f"that is predicted at the outputs ({decibels(1.0, total):.1f} dB; {rest:.1f} dB without it)",
            "give it 16 bits, or keep what makes it off the chip; `compare --layers` ranks all of them",
            worst.name,
        )


def _nothing_right(measured: Mapping[str, Any] | None) -> Told:
    """Shares of right answers that are 0 already in float."""
    accuracy = (measured or {}).get("accuracy") or {}
    if accuracy.get("labelled", 0) < LABELLED:
        return
    for key in ("top1", "map50"):
        if accuracy["float"].get(key) == 0.0:
            yield (
                "MB305",
                f"{key} of the float model is 0 on {accuracy['labelled']} labelled samples "
                f"(fixed point: {accuracy['fixed'][key]:.3g})",
                "it is not quantization: look at postprocess (what it returns, boxes as x1, y1, x2, y2 in "
                "pixels of the input, numbers of classes), labels and preprocessing",
                "",
            )
