"""What the conditions of operator rules mean: one function a condition, which says what breaks it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Any

from modelbuild.graph.subject import (
    Numbers,
    Subject,
    Undetermined,
    axes,
    bound,
    kernel,
    pad_value,
    pads,
    permutation,
    spatial,
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
                return f"{label} {value:g} {broken}"
        return None

    return check


def _outside(value: float, allowed: Any) -> str | None:
    if not isinstance(allowed, dict):
        choices = allowed if isinstance(allowed, list) else [allowed]
        return None if value in choices else f"is not {' or '.join(f'{choice:g}' for choice in choices)}"
    if "max" in allowed and value > allowed["max"]:
        return f"> {allowed['max']:g}"
    if "min" in allowed and value < allowed["min"]:
        return f"< {allowed['min']:g}"
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


def _after(subject: Subject, operators: Any) -> str | None:
    source = subject.node.inputs[0]
    producer = subject.producers.get(source)
    if producer is None or producer.op not in operators:
        return f"does not follow {' or '.join(operators)}"
    if len(subject.consumers.get(source, ())) > 1 or source in subject.graph.outputs:
        return f"`{source}` has other readers"
    on_npu = subject.units.get(producer.name) in ("npu", "fused")
    return None if on_npu else f"`{producer.name}` is not on the NPU"


RULES: dict[str, Check] = {
    "rank": _within("rank", lambda s: [len(s.shape())]),
    "other_rank": _within("rank of the second input", lambda s: [len(s.shape(1))]),
    "output_rank": _within("rank of the output", lambda s: [len(s.output_shape())]),
    "channels": _within("channels", lambda s: s.shape()[1:2]),
    "height": _within("height", lambda s: s.shape()[2:3]),
    "spatial_size": _within("size of the map in cells", lambda s: [prod(s.shape()[2:])]),
    "kernel": _within("kernel", kernel),
    "kernel_is_square": _demand("the kernel is not square", lambda s: len(set(kernel(s))) == 1),
    "stride": _within("stride", strides),
    "stride_h": _within("stride", lambda s: strides(s)[:1]),
    "stride_w": _within("stride", lambda s: strides(s)[1:2]),
    "stride_is_square": _demand("the strides differ", lambda s: len(set(strides(s))) == 1),
    "stride_equals_kernel": _demand("the stride is not the kernel", lambda s: strides(s) == kernel(s)),
    "stride_within_kernel": _demand("the stride is larger than the kernel", _stride_within_kernel),
    "dilation": _within("dilation", lambda s: spatial(s, "dilations")),
    "pads": _within("pad", pads),
    "group": _one_of("grouping", _group),
    "ceil_mode": _attribute("ceil_mode", 0),
    "count_include_pad": _count_include_pad,
    "keepdims": _attribute("keepdims", 1),
    "blocksize": _attribute("blocksize", 0),
    "mode": _one_of("mode", _mode),
    "coordinate_mode": _one_of(
        "coordinate mode", lambda s: str(s.attribute("coordinate_transformation_mode", "half_pixel"))
    ),
    "pad_value": _within("pad value", pad_value),
    "exponent": _within("exponent", lambda s: s.constant(1)),
    "lower_bound": _within("lower bound", bound(1, float("-inf"))),
    "upper_bound": _within("upper bound", bound(2, float("inf"))),
    "axes": _within("axis", axes),
    "axis_size": _within("size of an axis", lambda s: [s.shape()[axis] for axis in axes(s)]),
    "one_direction": _demand("it enlarges one axis and shrinks another", _one_direction),
    "steps": _within("step", steps),
    "permutation": _permuted,
    "flattens": _demand("it is not a flattening to [N, all the rest]", _flattens),
    "keeps_batch": _demand("it moves or changes axis 0, the batch", _keeps_batch),
    "constant_input": _constant_input,
    "index_count": _within("number of indices", lambda s: [len(s.constant(1))]),
    "after": _after,
}


def broken(subject: Subject, when: Mapping[str, Any]) -> list[str]:
    """What the node breaks of a rule's conditions, in their order; empty where the rule holds."""
    found: list[str] = []
    for name, argument in when.items():
        try:
            reason = RULES[name](subject, argument)
        except Undetermined as unknown:
            reason = str(unknown)
        if reason and reason not in found:
            found.append(reason)
    return found
