"""What the conditions of operator rules mean: one function a condition, which says what breaks it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from modelbuild.graph.layer_maps import layer_maps, leaves_whole, moved_products
from modelbuild.graph.neighbours import after, before, chain_start, chained, is_behind_npu, reads_npu_maps
from modelbuild.graph.row_memory import channels_a_row, row_bytes
from modelbuild.graph.subject import (
    Numbers,
    Subject,
    Undetermined,
    axes,
    bound,
    changed_axes,
    kernel,
    pad_value,
    pads,
    permutation,
    spatial,
    spatial_pads,
    steps,
    strides,
)

Check = Callable[[Subject, Any], str | None]  # what is broken, or nothing


def _within(label: str, values: Numbers) -> Check:
    """Every number must lie in the argument's range."""

    def check(subject: Subject, allowed: Any) -> str | None:
        for value in values(subject):
            broken = _outside(value, allowed)
            if broken:
                return f"{label} {shown(value)} {broken}"
        return None

    return check


def shown(value: float) -> str:
    """A number in a message: whole ones with all their digits, in threes."""
    return f"{int(value):,}" if float(value).is_integer() else f"{value:g}"


def _outside(value: float, allowed: Any) -> str | None:
    if not isinstance(allowed, dict):
        choices = allowed if isinstance(allowed, list) else [allowed]
        return None if value in choices else f"is not {' or '.join(map(shown, choices))}"
    if "max" in allowed and value > allowed["max"]:
        return f"> {shown(allowed['max'])}"
    if "min" in allowed and value < allowed["min"]:
        return f"< {shown(allowed['min'])}"
    if "power_of_two" in allowed and (value < 1 or int(value) & (int(value) - 1)):
        return "is not a power of two"
    return None


def _attribute(name: str, default: int) -> Check:
    return _within(name, lambda subject: [int(subject.attribute(name, default))])


def _count_include_pad(subject: Subject, allowed: Any) -> str | None:
    if not any(pads(subject)):
        return None  # nothing to count
    return _attribute("count_include_pad", 0)(subject, allowed)


def _one_of(label: str, value: Callable[[Subject], str]) -> Check:
    def check(subject: Subject, allowed: Any) -> str | None:
        found = value(subject)
        return None if found in allowed else f"{label} {found} is not {' or '.join(allowed)}"

    return check


_MODE_DEFAULTS = {"Pad": "constant", "DepthToSpace": "DCR", "Resize": "nearest", "Upsample": "nearest"}


def _mode(subject: Subject) -> str:
    return str(subject.attribute("mode", _MODE_DEFAULTS.get(subject.node.op, "")))


def _nearest_mode(subject: Subject, allowed: Any) -> str | None:
    if _mode(subject) != "nearest":
        return None
    found = str(subject.attribute("nearest_mode", "round_prefer_floor"))
    return None if found in allowed else f"nearest mode {found} is not {' or '.join(allowed)}"


def _group(subject: Subject) -> str:
    groups = int(subject.attribute("group", 1))
    if groups == 1:
        return "one"
    return "depthwise" if groups == subject.shape()[1] else "grouped"


def _demand(text: str, holds: Callable[[Subject], bool]) -> Check:
    return lambda subject, _: None if holds(subject) else text


def _stride_within_kernel(subject: Subject) -> bool:
    return all(stride <= size for stride, size in zip(strides(subject), kernel(subject), strict=False))


def _one_direction(subject: Subject) -> bool:
    pairs = list(zip(subject.shape(), subject.output_shape(), strict=False))
    return not (any(new > old for old, new in pairs) and any(new < old for old, new in pairs))


def _enlarges(subject: Subject) -> bool:
    return all(new >= old for old, new in zip(subject.shape(), subject.output_shape(), strict=False))


def _covers_map(subject: Subject) -> bool:
    return kernel(subject) == list(subject.shape()[2:])


def _same_shapes(subject: Subject) -> bool:
    names = subject.node.inputs
    shapes = {subject.shape(index) for index in range(len(names))}
    return shapes == {subject.output_shape()} and len(set(names)) == len(names)


def _whole_rows(subject: Subject) -> bool:
    shape = subject.shape()
    return len(shape) == 4 and not shape[1] % channels_a_row(shape[3])


def _divides_map(subject: Subject) -> bool:
    pairs = zip(subject.shape()[2:], subject.output_shape()[2:], strides(subject), strict=False)
    return all(made == size // stride for size, made, stride in pairs)


def _other_is_matrix(subject: Subject) -> bool:
    return set(subject.shape(1)[:-2]) <= {1}


def _batch_matmul(subject: Subject) -> bool:
    """Einsum of two inputs, each letter in at least two tensors and at most once in each."""
    inputs, _, output = str(subject.attribute("equation", "")).replace(" ", "").partition("->")
    terms = [*inputs.split(","), output]
    once = all(term.isalpha() and len(set(term)) == len(term) for term in terms)
    return len(terms) == 3 and once and all(sum(x in term for term in terms) > 1 for x in "".join(terms))


def _flattens(subject: Subject) -> bool:
    before = subject.shape()
    return subject.output_shape() == (before[0], prod(before[1:]))


def _keeps_batch(subject: Subject) -> bool:
    kept = subject.output_shape()[:1] == subject.shape()[:1]
    return kept and (subject.node.op != "Transpose" or permutation(subject)[0] == 0)


def _permuted(subject: Subject, allowed: Any) -> str | None:
    found = permutation(subject)
    return None if found in allowed else f"permutation {found} is not {' or '.join(map(str, allowed))}"


def _constant_input(subject: Subject, indices: Any) -> str | None:
    for index in indices:
        if subject.has_input(index) and subject.node.inputs[index] not in subject.graph.constants:
            return f"input {index} (`{subject.node.inputs[index]}`) is not a constant"
    return None


def _computed_input(subject: Subject, indices: Any) -> str | None:
    for index in indices:
        if subject.has_input(index) and subject.node.inputs[index] in subject.graph.constants:
            return f"input {index} (`{subject.node.inputs[index]}`) is a constant"
    return None


RULES: dict[str, Check] = {
    "rank": _within("rank", lambda s: [len(s.shape())]),
    "other_rank": _within("rank of the second input", lambda s: [len(s.shape(1))]),
    "output_rank": _within("rank of the output", lambda s: [len(s.output_shape())]),
    "other_is_matrix": _demand("the second input is more than one matrix", _other_is_matrix),
    "batch": _within("batch", lambda s: s.shape()[:1]),
    "channels": _within("channels", lambda s: s.shape()[1:2]),
    "output_channels": _within("output channels", lambda s: s.output_shape()[1:2]),
    "height": _within("height", lambda s: s.shape()[2:3]),
    "width": _within("width", lambda s: s.shape()[3:4]),
    "spatial_size": _within("size of the map in cells", lambda s: [prod(s.shape()[2:])]),
    "cells_per_channel": _within(
        "cells of the map for each channel", lambda s: [prod(s.shape()[2:]) / max(1, prod(s.shape()[1:2]))]
    ),
    "row_memory": _within(
        "bytes of the maps", lambda s: [row_bytes(s.shape()) + row_bytes(s.output_shape())]
    ),
    "input_memory": _within("bytes of the input map", lambda s: [row_bytes(s.shape())]),
    "layer_channels": _within("channels", lambda s: [layer_maps(s).source[1]]),
    "layer_height": _within("height", lambda s: [layer_maps(s).source[2]]),
    "layer_width": _within("width", lambda s: [layer_maps(s).source[3]]),
    "layer_memory": _within("bytes of the maps of a layer", lambda s: [layer_maps(s).bytes]),
    "moved_products": _within(
        "multiply-accumulates for each cell that the CPU moves", lambda s: [round(moved_products(s), 1)]
    ),
    "kernel": _within("kernel", kernel),
    "kernel_h": _within("kernel", lambda s: kernel(s)[:1]),
    "kernel_w": _within("kernel", lambda s: kernel(s)[1:2]),
    "kernel_is_square": _demand("the kernel is not square", lambda s: len(set(kernel(s))) == 1),
    "covers_map": _demand("the kernel is not the whole map", _covers_map),
    "stride": _within("stride", strides),
    "stride_h": _within("stride", lambda s: strides(s)[:1]),
    "stride_w": _within("stride", lambda s: strides(s)[1:2]),
    "stride_is_square": _demand("the strides differ", lambda s: len(set(strides(s))) == 1),
    "divides_map": _demand("the output is not the map divided by the stride", _divides_map),
    "stride_equals_kernel": _demand("the stride is not the kernel", lambda s: strides(s) == kernel(s)),
    "stride_within_kernel": _demand("the stride is larger than the kernel", _stride_within_kernel),
    "dilation": _within("dilation", lambda s: spatial(s, "dilations")),
    "pads": _within("pad", pads),
    "pads_before": _within("pad before", lambda s: pads(s)[: len(pads(s)) // 2]),
    "pads_after": _within("pad after", lambda s: pads(s)[len(pads(s)) // 2 :]),
    "spatial_pads": _within("pad", spatial_pads),
    "group": _one_of("grouping", _group),
    "ceil_mode": _attribute("ceil_mode", 0),
    "count_include_pad": _count_include_pad,
    "keepdims": _attribute("keepdims", 1),
    "reverse": _attribute("reverse", 0),
    "blocksize": _attribute("blocksize", 0),
    "mode": _one_of("mode", _mode),
    "coordinate_mode": _one_of(
        "coordinate mode", lambda s: str(s.attribute("coordinate_transformation_mode", "half_pixel"))
    ),
    "nearest_mode": _nearest_mode,
    "approximate": _one_of("approximate", lambda s: str(s.attribute("approximate", "none"))),
    "extrapolation_value": _within(
        "extrapolation value", lambda s: [float(s.attribute("extrapolation_value", 0.0))]
    ),
    "pad_value": _within("pad value", pad_value),
    "exponent": _within("exponent", lambda s: s.constant(1)),
    "lower_bound": _within("lower bound", bound(1, float("-inf"))),
    "upper_bound": _within("upper bound", bound(2, float("inf"))),
    "axes": _within("axis", axes),
    "axis_size": _within("size of an axis", lambda s: [s.shape()[axis] for axis in axes(s)]),
    "changed_axes": _within("number of axes that change", lambda s: [len(changed_axes(s))]),
    "one_direction": _demand("it enlarges one axis and shrinks another", _one_direction),
    "enlarges": _demand("it makes an axis smaller", _enlarges),
    "steps": _within("step", steps),
    "permutation": _permuted,
    "flattens": _demand("it is not a flattening to [N, all the rest]", _flattens),
    "keeps_batch": _demand("it moves or changes axis 0, the batch", _keeps_batch),
    "constant_input": _constant_input,
    "computed_input": _computed_input,
    "index_count": _within("number of indices", lambda s: [len(s.constant(1))]),
    "batch_matmul": _demand("it is no product of matrices", _batch_matmul),
    "after": after,
    "chained": chained,
    "after_group": _one_of("grouping before it", lambda s: _group(chain_start(s))),
    "after_stride": _within("stride before it", lambda s: strides(chain_start(s))),
    "after_whole": _demand("what is before it comes in parts", lambda s: leaves_whole(chain_start(s))),
    "behind_npu": _demand("nothing before it runs on the NPU", is_behind_npu),
    "reads_npu_maps": _demand("what it reads is not all made by the NPU", reads_npu_maps),
    "same_shapes": _demand("its inputs are not of one shape, or twice the same", _same_shapes),
    "whole_rows": _demand("the channels of its inputs end within a row of 64 bytes", _whole_rows),
    "before": before,
}


@dataclass(frozen=True)
class Breach:
    """A condition that a node breaks: its name, its argument, and what is wrong."""

    condition: str
    allowed: Any
    reason: str


def breaches(subject: Subject, when: Mapping[str, Any]) -> list[Breach]:
    """What the node breaks of a rule's conditions, in their order; empty where the rule holds."""
    found: list[Breach] = []
    for name, argument in when.items():
        try:
            reason = RULES[name](subject, argument)
        except Undetermined as unknown:
            reason = str(unknown)
        if reason and all(reason != breach.reason for breach in found):
            found.append(Breach(name, argument, reason))
    return found


def broken(subject: Subject, when: Mapping[str, Any]) -> list[str]:
    """The reasons of `breaches`."""
    return [breach.reason for breach in breaches(subject, when)]
