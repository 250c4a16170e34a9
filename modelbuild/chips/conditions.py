"""The vocabulary of operator rules: the names of conditions and the form of their arguments. What each one
means is written in docs/chips.md and implemented in `modelbuild/graph/rules.py`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from modelbuild.chips.located import Located, plain
from modelbuild.errors import Problem, did_you_mean

_RANGE_KEYS = ("min", "max", "power_of_two")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_range(value: Any) -> bool:
    if isinstance(value, dict):
        bounds = [value[key] for key in ("min", "max") if key in value]
        known = bool(value) and all(key in _RANGE_KEYS for key in value)
        return known and all(map(_is_number, bounds)) and value.get("power_of_two", True) is True
    numbers = value if isinstance(value, list) else [value]
    return bool(numbers) and all(map(_is_number, numbers))


def _is_names(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, str) for item in value)


def _is_indices(value: Any) -> bool:
    return isinstance(value, list) and all(type(item) is int and item >= 0 for item in value)


def _is_permutations(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_is_indices, value))


def _is_true(value: Any) -> bool:
    return value is True


_Form = tuple[str, Callable[[Any], bool]]
RANGE: _Form = ("a number, a list of numbers, or {min: A, max: B, power_of_two: true}", _is_range)
NAMES: _Form = ("a list of names", _is_names)
INDICES: _Form = ("a list of numbers from 0", _is_indices)
PERMUTATIONS: _Form = ("a list of permutations, such as [[0, 2, 1, 3]]", _is_permutations)
FLAG: _Form = ("true", _is_true)

CONDITIONS: dict[str, _Form] = {
    "rank": RANGE,
    "other_rank": RANGE,
    "output_rank": RANGE,
    "other_is_matrix": FLAG,
    "batch": RANGE,
    "channels": RANGE,
    "output_channels": RANGE,
    "height": RANGE,
    "width": RANGE,
    "spatial_size": RANGE,
    "cells_per_channel": RANGE,
    "row_memory": RANGE,
    "input_memory": RANGE,
    "layer_channels": RANGE,
    "layer_height": RANGE,
    "layer_width": RANGE,
    "layer_memory": RANGE,
    "moved_products": RANGE,
    "kernel": RANGE,
    "kernel_h": RANGE,
    "kernel_w": RANGE,
    "kernel_is_square": FLAG,
    "covers_map": FLAG,
    "stride": RANGE,
    "stride_h": RANGE,
    "stride_w": RANGE,
    "stride_is_square": FLAG,
    "divides_map": FLAG,
    "stride_equals_kernel": FLAG,
    "stride_within_kernel": FLAG,
    "dilation": RANGE,
    "pads": RANGE,
    "pads_before": RANGE,
    "pads_after": RANGE,
    "spatial_pads": RANGE,
    "group": NAMES,
    "ceil_mode": RANGE,
    "count_include_pad": RANGE,
    "keepdims": RANGE,
    "reverse": RANGE,
    "blocksize": RANGE,
    "mode": NAMES,
    "coordinate_mode": NAMES,
    "nearest_mode": NAMES,
    "approximate": NAMES,
    "extrapolation_value": RANGE,
    "pad_value": RANGE,
    "exponent": RANGE,
    "lower_bound": RANGE,
    "upper_bound": RANGE,
    "axes": RANGE,
    "changed_axes": RANGE,
    "one_direction": FLAG,
    "enlarges": FLAG,
    "axis_size": RANGE,
    "steps": RANGE,
    "permutation": PERMUTATIONS,
    "flattens": FLAG,
    "keeps_batch": FLAG,
    "constant_input": INDICES,
    "computed_input": INDICES,
    "index_count": RANGE,
    "batch_matmul": FLAG,
    "after": NAMES,
    "chained": NAMES,
    "after_group": NAMES,
    "after_stride": RANGE,
    "after_whole": FLAG,
    "behind_npu": FLAG,
    "reads_npu_maps": FLAG,
    "same_shapes": FLAG,
    "whole_rows": FLAG,
    "before": NAMES,
}


def problems(when: Located) -> Iterator[Problem]:
    """What is wrong with the conditions of one rule."""
    for name, argument in when.entries.items():
        if name not in CONDITIONS:
            advice = did_you_mean(name, CONDITIONS) or "docs/chips.md lists the conditions"
            yield Problem(f"unknown condition `{name}`", argument.where, advice=advice)
            continue
        expected, holds = CONDITIONS[name]
        if not holds(plain(argument)):
            yield Problem(f"the argument of `{name}` must be {expected}", argument.where)
