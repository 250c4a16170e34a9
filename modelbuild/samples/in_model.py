"""Preprocessing that the model does itself: how raw pictures come in, as the manifest declares it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

from modelbuild.errors import Problem
from modelbuild.samples.settings import choice

InputType = Literal["uint8", "float32"]
Layout = Literal["NCHW", "NHWC"]
Order = Literal["rgb", "bgr"]

SWITCH = "in_model"
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "input_type": ("uint8", "float32"),
    "input_layout": ("NCHW", "NHWC"),
    "input_colour": ("rgb", "bgr"),
    "output_layout": ("NCHW", "NHWC"),
}


@dataclass(frozen=True)
class InModel:
    """What a model's input is fed with when it preprocesses by itself.

    `input_range` is what 0 and 255 become before mean and std (None: what `scale` says); `input_layout` and
    `input_colour` are those of the raw picture, `input_shape` is its shape in that layout (None: the size of
    the model's own input).
    `output_layout` is that of the model's outputs of rank 4 (None: the model's own)."""

    input_type: InputType = "uint8"
    input_range: tuple[float, float] | None = None
    input_layout: Layout = "NCHW"
    input_colour: Order = "rgb"
    input_shape: tuple[int, ...] | None = None
    output_layout: Layout | None = None


KEYS = (SWITCH, *(field.name for field in fields(InModel)))


def taken(settings: dict[str, Any], values: dict[str, Any], problems: list[Problem]) -> InModel | None:
    """Takes the keys of `InModel` out of `settings`; None where the model does nothing by itself.

    `values` are the other fields of the declaration, read already; an `input_range` sets their `scale`."""
    given = {key: settings.pop(key) for key in KEYS if settings.get(key) is not None}
    switch = given.pop(SWITCH, False)
    if switch is not True:
        problems += [_alone(key) for key in given]
        return None
    chosen: dict[str, Any] = {"input_layout": values.get("layout", "NCHW")}
    for key, known in _CHOICES.items():
        if key in given:
            chosen[key] = choice(key, given[key], known, problems) or known[0]
    if "input_range" in given:
        chosen["input_range"] = _range(given["input_range"], values, problems)
    if "input_shape" in given:
        chosen["input_shape"] = _shape(given["input_shape"], chosen["input_layout"], values, problems)
    return InModel(**chosen)


def to_json(given: InModel) -> dict[str, Any]:
    """Every field, and the switch."""
    found = {field.name: getattr(given, field.name) for field in fields(given)}
    return {
        SWITCH: True,
        **{key: list(value) if isinstance(value, tuple) else value for key, value in found.items()},
    }


def _alone(key: str) -> Problem:
    return Problem(
        f"`{key}` goes with `in_model: true`",
        f"preprocess.{key}",
        "it says what a model is fed with that preprocesses by itself",
        "add `in_model: true`, or remove it",
    )


def _range(given: Any, values: dict[str, Any], problems: list[Problem]) -> tuple[float, float] | None:
    """(low, high); `scale` is set to what leads from 0..255 to there."""
    pair = list(given) if isinstance(given, list | tuple) else []
    numbers = all(isinstance(item, int | float) and math.isfinite(item) for item in pair)
    if len(pair) != 2 or not numbers or any(isinstance(item, bool) for item in pair) or pair[0] >= pair[1]:
        problems.append(
            Problem(
                f"`input_range: {pair or given}` is no range",
                "preprocess.input_range",
                "it is two numbers, what 0 and 255 become",
                "write `input_range: [0, 1]`",
            )
        )
        return None
    low, high = float(pair[0]), float(pair[1])
    wanted = (high - low) / 255
    scale = values.get("scale", wanted)
    known = scale if isinstance(scale, tuple) else (scale,)
    if not all(math.isclose(item, wanted, rel_tol=1e-6) for item in known):
        problems.append(
            Problem(
                "`input_range` and `scale` contradict each other",
                "preprocess.input_range",
                f"this range is a scale of {wanted:.6g}, and `scale` is {scale}",
                "remove one of them",
            )
        )
    values["scale"] = wanted
    return low, high


def _shape(
    given: Any, layout: Layout, values: Mapping[str, Any], problems: list[Problem]
) -> tuple[int, ...] | None:
    sizes = list(given) if isinstance(given, list | tuple) else []
    whole = all(isinstance(size, int) and not isinstance(size, bool) and size > 0 for size in sizes)
    wrong = Problem("", "preprocess.input_shape", "it is the raw picture's shape, with a batch of 1")
    if len(sizes) != 4 or not whole or sizes[0] != 1:
        example = "[1, 480, 640, 3]" if layout == "NHWC" else "[1, 3, 480, 640]"
        problems.append(
            wrong._replace(what=f"`input_shape: {sizes or given}` is no shape", advice=f"write {example}")
        )
        return None
    if values.get("resize") is None:
        problems.append(wrong._replace(what="`input_shape` needs `resize`", advice="add `resize: letterbox`"))
    if values.get("filter") == "bicubic":
        problems.append(
            wrong._replace(
                what="`filter: bicubic` cannot be done in the model",
                why="it leaves 0..255 on the way, and would differ from the host's by more than one step",
                advice="use `filter: bilinear`",
            )
        )
    return tuple(sizes)
