"""Observations and a number format -> the quantization record. Runs no inference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbuild.chips.recipe import NumberFormat
from modelbuild.errors import ModelbuildError
from modelbuild.graph.kept_quantization import Kept, kept
from modelbuild.graph.model import Graph, Node
from modelbuild.quantize import given_ranges, half_up, split_channels, weight_lines
from modelbuild.quantize.activation_lines import Choice, activation_line, observed_tensor, port_line
from modelbuild.quantize.bins import with_bins
from modelbuild.quantize.corrections import bias_correction, whole_weights
from modelbuild.quantize.equalize import equalize, smooth
from modelbuild.quantize.equalize_channels import Channels
from modelbuild.quantize.equalized import Equalization
from modelbuild.quantize.functions import OUTPUT_FUNCTIONS, function_after, read_by_table
from modelbuild.quantize.mixed_bits import by_rule
from modelbuild.quantize.number_format import Bits, Formats, formats_of
from modelbuild.quantize.observations import Observations
from modelbuild.quantize.padding import fillings, widened
from modelbuild.quantize.plan import Plan, Step, make_plan
from modelbuild.quantize.ports import port_tensor
from modelbuild.quantize.predict import weight_noise
from modelbuild.quantize.ranges import BY_ERROR, CHOOSERS, HEADROOM, NATURAL, applicable, natural
from modelbuild.quantize.readers import covariance_of
from modelbuild.quantize.record import Record, TensorRecord
from modelbuild.quantize.rounding import observed
from modelbuild.quantize.rounding_settings import OBSERVED
from modelbuild.quantize.settings import DEFAULT_METHOD, SMOOTH, Settings
from modelbuild.quantize.source_quantization import METHOD, activation_grid, of_roots, scales_of
from modelbuild.quantize.split_observations import of_pieces
from modelbuild.quantize.weighted import Weighted, weighted
from modelbuild.quantize.weights import pack_flips


def quantize(
    graph: Graph,
    observations: Observations,
    settings: Settings,
    number_format: NumberFormat,
    own: Bits | None = None,
) -> Record:
    """Choose a scale for every tensor of the lowered graph.

    `own`: the formats of tensors and weights that are not the model's; None: those that the settings name
    (`mode: auto` and `mixbw`, which choose by predicted noise, are those of `mixed.quantize_mixed`).
    Raises (exit 2) on settings that the chip lacks.
    """
    formats = formats_of(number_format, settings)
    plan = make_plan(graph)
    formats = formats.with_own(by_rule(graph, plan, settings, formats) if own is None else own)
    given = given_ranges.given_ranges(settings, graph, plan, observations)
    equalized = _equalized(graph, plan, observations, settings, formats, given)
    held = equalized.observations(plan, observations)
    taken = split_channels.divided(graph, plan, held, settings, formats, given)
    if taken.parts:
        graph, plan = taken.graph, make_plan(taken.graph)
        held = of_pieces(taken, observations)
        equalized = _equalized(graph, plan, held, settings, formats, given)
        held = equalized.observations(plan, held)
    task = _Task(graph, plan, held, settings, formats, kept(graph))
    choices, lines = _activations(task, given)
    made = _weights(task, equalized, choices)
    lines += [
        weight_lines.weight_line(
            made.constants[name],
            formats.at("", name),
            task.entries.get(name),
            settings,
            noise,
            made.flips.get(name),
        )
        for name, noise in made.noise.items()
    ]
    every = {
        "bias": made.biases,
        "clip": made.clips,
        "equalize": equalized.lines(),
        "round": made.rounded,
        "split": taken.parts,
    }
    corrections = {kind: found for kind, found in every.items() if found}
    text, method = formats.to_text(), settings.range.method
    arithmetic = number_format.arithmetic
    return Record(graph.name, arithmetic, text, method, observations.samples, tuple(lines), corrections)


@dataclass(frozen=True)
class _Task:
    """What is quantized, and how. `observations` are those of the equalised tensors, `entries` what the
    source has quantized itself."""

    graph: Graph
    plan: Plan
    observations: Observations
    settings: Settings
    formats: Formats
    entries: Mapping[str, Kept]


def _activations(
    task: _Task, given: Mapping[str, tuple[float, float]]
) -> tuple[dict[str, Choice], list[TensorRecord]]:
    """The scale of each root of the plan, and the lines of all tensors."""
    graph, plan, formats = task.graph, task.plan, task.formats
    sources = of_roots(task.entries, graph, plan)
    ends, filled = _roots_of_outputs(graph, plan), fillings(graph, plan)
    choices: dict[str, Choice] = {}
    lines: list[TensorRecord] = []
    for name in plan.tensors(graph):
        root = plan.root(name)
        port = port_tensor(graph, name)
        if port is not None:
            lines.append(port_line(graph, port))
            continue
        if root in choices:
            pass
        elif root in given:
            choices[root] = Choice(*formats.of(root).grid(*given[root]), given_ranges.METHOD)
        elif root in sources:
            choices[root] = Choice(*activation_grid(sources[root], formats.of(root)), METHOD)
        else:
            choices[root] = _choose(task, root, *_method(task, root, root in ends), filled.get(root))
        lines.append(activation_line(graph, plan, formats, task.observations, name, choices[root]))
    return choices, lines


def _method(task: _Task, root: str, is_output: bool) -> tuple[str, Mapping[str, Any]]:
    """The range method of a tensor, and its options."""
    settings = task.settings
    by_default = settings.range.method == DEFAULT_METHOD and settings.output_function == "none"
    wide = task.formats.of(root).bits > 8 and by_default
    return (
        _of_outputs(settings) if is_output and not wide else (settings.range.method, settings.range.options)
    )


@dataclass(frozen=True)
class _Weights:
    """Corrections by the tensor that a node leaves; by the constant's name the weights, and their `noise` at
    the outputs, of each node that multiplies by them; `flips` of those that are rounded by what was observed.
    """

    biases: dict[str, tuple[int, ...]] = field(default_factory=dict)
    clips: dict[str, tuple[int, ...]] = field(default_factory=dict)
    rounded: dict[str, tuple[int, ...]] = field(default_factory=dict)
    flips: dict[str, NDArray[np.bool_]] = field(default_factory=dict)
    constants: dict[str, Weighted] = field(default_factory=dict)
    noise: dict[str, list[float | None]] = field(default_factory=dict)


def _weights(task: _Task, equalized: Equalization, choices: Mapping[str, Choice]) -> _Weights:
    graph, plan, entries, observations = task.graph, task.plan, task.entries, task.observations
    made = _Weights()
    excess = half_up.excess(graph, plan, lambda name: choices[plan.root(name)].scale)
    for step in plan.steps:
        found = weighted(graph, step.node)
        if found is None:
            continue
        x, left = _activation_input(graph, step.node.inputs), step.outputs[0]
        found = equalized.weighted(found, x, left)
        made.constants.setdefault(found.name, found)
        noise = made.noise.setdefault(found.name, [])
        here = task.formats.at(plan.root(x), found.name)
        range_of = weight_lines.clip(entries.get(found.name), found, here, task.settings)
        if range_of is not None:
            made.clips[left] = range_of
        mean = observed_tensor(observations, x).channel_mean
        if not found.multiplies(graph.shapes[x]):
            noise.append(None)
            continue  # the channels that were observed are not the ones that the weights multiply
        scales, own = scales_of(entries.get(found.name), found, here, range_of)
        more, scale = excess.get(left, 0.0), choices[plan.root(x)].scale
        seen = covariance_of(graph, observations, step.node, found, equalized.of(x))
        flips = None
        if seen is not None and not own and _is_observed(task.settings, here):
            exact = whole_weights(found, here, scales, scale).scales
            flips = made.flips[found.name] = observed.flips_of(found, exact, here.weight_bits, seen)
            if flips.any():
                made.rounded[left] = pack_flips(flips)
        correction = bias_correction(found, here, scales, scale, mean, more, flips)
        if any(correction) and task.settings.bias_correction != "none":
            made.biases[left] = correction
        rounding = weight_lines.rounding(found, scales, here.weight_bits, flips)
        error = None if seen is None else observed.error_of(found, scales, rounding, seen)
        y = _last_with_gradient(observations, step)
        noise.append(weight_noise(observations, found, rounding, x, y, error))
    return made


def _is_observed(settings: Settings, formats: Formats) -> bool:
    """Whether weights that read an input are rounded by what was observed of it."""
    by_default = settings.rounding is None and settings.range.method == DEFAULT_METHOD
    return formats.weight_bits <= 8 and (by_default or settings.rounding == OBSERVED)


def _equalized(
    graph: Graph,
    plan: Plan,
    observations: Observations,
    settings: Settings,
    formats: Formats,
    given: Mapping[str, Any],
) -> Equalization:
    wanted = settings.range.method == DEFAULT_METHOD if settings.equalize is None else settings.equalize
    if not wanted:
        return Equalization.none(Channels.none())
    if settings.range.method == "moving_average":
        raise ModelbuildError(
            "quantize.equalize cannot go with the range method moving_average",
            why="ranges of single samples are known of the tensors as they are, not as they would be scaled",
            advice="choose another method, or equalize: false",
        )
    method = smooth if wanted == SMOOTH else equalize
    return method(graph, plan, observations, formats, given)


def _of_outputs(settings: Settings) -> tuple[str, Mapping[str, Any]]:
    """The range method of outputs, and its options: nothing is clipped, unless a function behind the chip
    flattens it."""
    if settings.output_function == "none":
        return ("minmax" if settings.range.method == "minmax" else HEADROOM), {}
    return "mse", {"through": OUTPUT_FUNCTIONS[settings.output_function]}


def _roots_of_outputs(graph: Graph, plan: Plan) -> set[str]:
    """Scales that the model's outputs have (raw scores, box regressions)."""
    return {plan.root(name) for name in graph.outputs}


def _last_with_gradient(observations: Observations, step: Step) -> str:
    """What the node with the weights makes itself, or what is left of it, whichever has a gradient."""
    own = step.node.outputs[0]
    return step.outputs[0] if observations.channel_weight(own) is None else own


def _choose(
    task: _Task, name: str, method: str, options: Mapping[str, Any], filling: tuple[Node, float] | None
) -> Choice:
    graph, plan, formats = task.graph, task.plan, task.formats
    tensor_format = formats.of(name)
    codes = 1 << tensor_format.bits
    own = plan.natural.get(name)
    by_default = task.settings.range.method == DEFAULT_METHOD and tensor_format.bits <= 8
    if own is not None and not by_default:
        return Choice(*tensor_format.grid(*widened(filling, own, codes)), NATURAL)
    observation, seen = observed_tensor(task.observations, name), tensor_format
    bytewise = method == DEFAULT_METHOD and not formats.wide_tables and read_by_table(graph, plan, name)
    if seen.bits > 8 and bytewise:
        seen = replace(seen, bits=8)
    method = applicable(method, observation, seen)
    if method in BY_ERROR:
        options = {"through": function_after(graph, plan, name), **options}
    if "bins" in options:
        observation = with_bins(observation, options["bins"])
    ends = CHOOSERS[method](observation, seen, options)
    if own is not None:
        ends = natural.used(observation, tensor_format, own, ends)
        method = NATURAL if ends == own else method
    return Choice(*tensor_format.grid(*widened(filling, ends, codes)), method)


def _activation_input(graph: Graph, inputs: list[str]) -> str:
    return next(name for name in inputs if name not in graph.constants)
