"""Corrections that need samples: rounding of weights and biases, a node at a time, from what it really gets.

Walks through the fixed-point model in the order of execution. What is decided hangs on the integers before it
and on what the float model has there; no sum depends on a BLAS or on threads.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbuild.arithmetic.fixed_model import QuantizedTensor
from modelbuild.graph.model import Graph
from modelbuild.graph.session import FloatSession
from modelbuild.quantize import half_up
from modelbuild.quantize.assembly import Assembly, operand_bits
from modelbuild.quantize.corrections import Real, mean_correction
from modelbuild.quantize.equalized import Equalization
from modelbuild.quantize.in_order import mean_in_order
from modelbuild.quantize.number_format import Formats
from modelbuild.quantize.observations import Observations
from modelbuild.quantize.patches import Window, window_of
from modelbuild.quantize.plan import Plan, Step, make_plan
from modelbuild.quantize.predict import decibels
from modelbuild.quantize.prefix import Prefix, samples_at_once
from modelbuild.quantize.record import Record, TensorRecord
from modelbuild.quantize.rounding import DATA_FREE, METHODS
from modelbuild.quantize.rounding.fitting import clip_of, error_of, flips_of, moments_in_blocks
from modelbuild.quantize.rounding.moments import Moments, Patches
from modelbuild.quantize.rounding_settings import FEW_BITS, FINE, NEAREST, OBSERVED, USUAL_BITS
from modelbuild.quantize.settings import Settings
from modelbuild.quantize.source_quantization import scales_of
from modelbuild.quantize.split_observations import of_pieces
from modelbuild.quantize.split_record import KIND, of_record
from modelbuild.quantize.weighted import Weighted, weighted
from modelbuild.quantize.weights import QuantizedWeights, pack_flips, quantize_weights, unpack_flips

Sample = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Wanted:
    """How weights of up to 4, of up to 8 and of more bits are rounded (`fine`, `usual`, `wide`): by one of
    METHODS, or to the nearest where the record does not say otherwise. `bias`: none, parallel, sequential.
    `own_ranges`: weights of few bits get ranges from samples. `said`: the rounding is asked for.
    """

    fine: str
    usual: str
    wide: str
    bias: str
    own_ranges: bool = True
    said: bool = True

    @classmethod
    def by(cls, settings: Settings, by_size: bool) -> Wanted:
        """What is said, or left to us; `by_size`: weights of 8 bits are rounded with samples as well."""
        said = NEAREST if settings.rounding == OBSERVED else settings.rounding
        return cls(
            said or FINE,
            said or (FINE if by_size else NEAREST),
            said or NEAREST,
            settings.bias_correction or "sequential",
            settings.weights_range is None,
            settings.rounding is not None,
        )

    def of(self, bits: int) -> str:
        """The rounding of weights of so many bits."""
        return self.fine if bits <= FEW_BITS else self.usual if bits <= USUAL_BITS else self.wide

    def without_moments(self, bits: int) -> str:
        """The rounding where there are no patches to learn from (ConvTranspose)."""
        return DATA_FREE if self.said or bits <= FEW_BITS else NEAREST


@dataclass
class _Target:
    """A weighted node, and patches [n, groups, K] of the float model's input to it, a sample each."""

    found: Weighted
    input: str
    window: Window | None
    patches: list[NDArray[np.float32]] = field(default_factory=list)

    def add(self, values: NDArray[Any], sample: int, samples: int) -> None:
        """One more sample."""
        if self.window is not None:
            places = self.window.chosen(sample, samples)
            self.patches.append(self.window.patches(values, places).astype(np.float32))


def refine(
    graph: Graph,
    record: Record,
    formats: Formats,
    wanted: Wanted,
    observations: Observations,
    samples: Iterable[Sample],
) -> Record:
    """The record with corrections of biases, ranges and rounding of weights from what samples make of it.

    `samples` are all calibration samples, of which some are taken, spread evenly.
    """
    made = of_record(graph, record)
    graph, observations = made.graph, of_pieces(made, observations)
    plan = make_plan(graph)
    count, most = observations.samples, samples_at_once(graph, plan)
    few = {index * count // min(count, most) for index in range(min(count, most))}
    chosen = [sample for index, sample in enumerate(samples) if index in few]
    corrections: dict[str, dict[str, tuple[int, ...]]] = {"bias": {}, "clip": {}, "round": {}}
    for kind in ("equalize", KIND):
        corrections[kind] = dict(record.corrections.get(kind, {}))
    ranges, rounded = record.corrections.get("clip", {}), record.corrections.get("round", {})
    assembly = Assembly(graph, plan, replace(record, corrections=corrections), formats, {})
    prefix = Prefix(assembly, plan, chosen)
    observations = assembly.equalized.observations(plan, observations)
    targets = _targets(graph, plan, chosen, assembly.equalized)
    changed: dict[str, list[_Outcome]] = {}
    scales = {line.name: line.scale or 1.0 for line in record.tensors}
    excess = half_up.excess(graph, plan, scales.__getitem__)
    for index, step in enumerate(plan.steps):
        assembly.begin(step)
        target = targets.pop(step.outputs[0], None)
        if target is not None:
            name = step.outputs[0]
            place = _Place(
                assembly,
                step,
                target,
                observations,
                ranges.get(name),
                rounded.get(name),
                excess.get(name, 0.0),
            )
            outcome = _decide(place, wanted, prefix.values(target.input))
            for kind, values in outcome.corrections.items():
                if any(values):
                    corrections[kind][step.outputs[0]] = values
            changed.setdefault(target.found.name, []).append(outcome)
        prefix.build(index, step)
    lines = tuple(_line(line, changed.get(line.name, ())) for line in record.tensors)
    kept = {kind: found for kind, found in corrections.items() if found}
    return replace(record, tensors=lines, corrections=kept)


def _targets(
    graph: Graph, plan: Plan, samples: Sequence[Sample], equalized: Equalization
) -> dict[str, _Target]:
    """By what the step leaves, in the order of execution."""
    targets: dict[str, _Target] = {}
    for step in plan.steps:
        found = weighted(graph, step.node)
        if found is not None and np.isfinite(found.weight).all():
            name = next(name for name in step.node.inputs if name not in graph.constants)
            found = equalized.weighted(found, name, step.outputs[0])
            targets[step.outputs[0]] = _Target(found, name, window_of(graph, step.node, found, name))
    session = FloatSession(graph, "all")
    for number, sample in enumerate(samples):
        inputs = {name: np.asarray(sample[name]) for name in graph.inputs}
        held = {**inputs, **session.run(inputs)}
        for target in targets.values():
            values = equalized.divided(target.input, held[target.input])
            target.add(values, number, len(samples))
    return targets


@dataclass(frozen=True)
class _Outcome:
    """What was decided on one node. `error`: of its weights, and of the outputs by them, as predicted; None
    where rounding is to the nearest."""

    corrections: Mapping[str, tuple[int, ...]]
    method: str
    own_db: float
    noise: float | None


@dataclass(frozen=True)
class _Place:
    """A node that is about to be built."""

    assembly: Assembly
    step: Step
    target: _Target
    observations: Observations
    clip: tuple[int, ...] | None  # the range of its weights, where the record has one
    rounded: tuple[int, ...] | None  # its weights that are not rounded to the nearest, by the record
    excess: float  # by how much its outputs are to be lower (half_up.py)

    @property
    def input(self) -> QuantizedTensor:
        """The fixed-point tensor that it reads."""
        return self.assembly.tensors[self.target.input]

    def made(self, clip: tuple[int, ...] | None, flips: NDArray[np.bool_] | None) -> QuantizedWeights:
        """Its integers, so corrected."""
        found, x = self.target.found, self.input
        formats = self.assembly.weight_formats(x, found.name)
        bits, form = formats.weight_bits, formats.activation.form
        scales, kept = scales_of(self.assembly.entry(found.name), found, formats, clip)
        operands = 16 if bits > 8 else operand_bits(x)
        return quantize_weights(
            found.weight, found.bias, x.scale, scales, bits, operands, form, None, kept, flips
        )

    @property
    def flips(self) -> NDArray[np.bool_] | None:
        """As the record has them."""
        return None if self.rounded is None else unpack_flips(self.rounded, self.target.found.weight.shape)

    def patches(self, codes: Sequence[NDArray[Any]]) -> Patches | None:
        """Of its input; None where its sums are not of patches."""
        window, x = self.target.window, self.input
        if window is None:
            return None
        fixed = [
            window.patches(values.astype(np.int32) - x.zero_point, window.chosen(number, len(codes)))
            for number, values in enumerate(codes)
        ]
        exact = np.concatenate(self.target.patches).astype(np.float64) / x.scale
        return Patches(np.concatenate(fixed), exact)

    def noise(self, error: Real) -> float | None:
        """Of the model's outputs, predicted from the mean square error of each channel."""
        return output_noise(self.observations, self.step, error)


def _decide(place: _Place, wanted: Wanted, codes: Sequence[NDArray[Any]]) -> _Outcome:
    found, x = place.target.found, place.input
    formats = place.assembly.weight_formats(x, found.name)
    bits = formats.weight_bits
    method = wanted.of(bits)
    if place.assembly.entry(found.name) is not None or found.weight[0].size == 1:
        method = NEAREST
    corrections: dict[str, tuple[int, ...]] = {}
    patches = place.patches(codes)
    moments: list[Moments] = []
    clip, flips = place.clip, place.flips
    if method != NEAREST:
        moments = [] if patches is None else moments_in_blocks(patches)
        if not moments and METHODS[method].needs_moments:
            method = wanted.without_moments(bits)
    if method != NEAREST:
        free = formats.per_channel and formats.activation.form != "power_of_two"
        if wanted.own_ranges and moments and bits <= FEW_BITS and free:
            clip = clip_of(found, bits, moments)
        flips = flips_of(found, place.made(clip, None).scales, bits, method, moments)
    corrections["round"] = () if flips is None else pack_flips(flips)
    corrections["clip"] = clip or ()
    made = place.made(clip, flips)
    corrections["bias"] = _bias(place, wanted, made, patches)
    return _Outcome(corrections, method, *_measured(place, made, moments))


def _bias(place: _Place, wanted: Wanted, made: QuantizedWeights, patches: Patches | None) -> tuple[int, ...]:
    """In steps of the accumulator."""
    found, scale = place.target.found, place.input.scale
    seen = place.observations.tensors[place.target.input]
    if wanted.bias == "none" or not found.multiplies(place.input.shape):
        return ()
    if wanted.bias != "sequential" or patches is None:
        return mean_correction(found, made, scale, seen.channel_mean, excess=place.excess)
    y = place.observations.tensors[place.step.outputs[0]]
    rms = np.sqrt(y.channel_power)
    moved = mean_in_order(patches.error) * scale
    return mean_correction(found, made, scale, seen.channel_mean, moved, rms, place.excess)


def _measured(
    place: _Place, made: QuantizedWeights, moments: Sequence[Moments]
) -> tuple[float, float | None]:
    """dB of the weights, and predicted noise of the outputs."""
    found = place.target.found
    column = made.scales.reshape(-1, *([1] * (found.weight.ndim - 1)))
    exact = found.weight.astype(np.float64)
    rest = made.integers * column - exact
    own = decibels(float(np.square(exact).sum()), float(np.square(rest).sum()))
    if not moments:
        return own, None
    error = error_of(found, made.scales, made.integers, moments) * place.input.scale**2
    return own, place.noise(error)


def output_noise(observations: Observations, step: Step, error: Real) -> float | None:
    """Relative noise power of the model's outputs from the mean square error [O] of a node."""
    if not observations.outputs:
        return None
    for name in (step.node.outputs[0], step.outputs[0]):
        weight = observations.channel_weight(name)
        if weight is not None and len(weight) == len(error):
            return float((weight * error).sum()) / (observations.samples * observations.outputs)
    return None


def _line(line: TensorRecord, outcomes: Sequence[_Outcome]) -> TensorRecord:
    """The line of weights that were not rounded to the nearest."""
    if line.kind != "weight" or not outcomes or outcomes[0].method == NEAREST:
        return line
    parts = [outcome.noise for outcome in outcomes]
    noise = None if None in parts else decibels(1.0, sum(part for part in parts if part is not None))
    return replace(line, method=outcomes[0].method, snr_db=outcomes[0].own_db, output_snr_db=noise)
