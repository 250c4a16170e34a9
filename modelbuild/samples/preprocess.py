"""A picture -> an input tensor, as the manifest declares it: y = (x * scale - mean) / std per channel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from modelbuild.errors import ModelbuildError, Problem
from modelbuild.samples import images, in_model, nncase_words, resample
from modelbuild.samples.in_model import InModel
from modelbuild.samples.settings import checked_keys, choice, numbers

Colour = Literal["rgb", "bgr", "gray"]
Filter = Literal["bilinear", "nearest", "bicubic", "area"]
Layout = Literal["NCHW", "NHWC"]
Numbers = float | tuple[float, ...]
Resize = Literal["stretch", "letterbox", "crop"]

PRESETS: dict[str, dict[str, Numbers]] = {
    "imagenet": {"scale": 1 / 255, "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)},
    "unit": {"scale": 1 / 255},
    "kneron": {"scale": 1 / 256, "mean": 0.5},
}
_CHOICES: dict[str, tuple[str, ...]] = {
    "resize": ("stretch", "letterbox", "crop"),
    "filter": resample.FILTERS,
    "colour": ("rgb", "bgr", "gray"),
    "layout": ("NCHW", "NHWC"),
}
_NUMBERS = ("fill", "scale", "mean", "std")
_CHANNELS = {"rgb": 3, "bgr": 3, "gray": 1}


@dataclass(frozen=True)
class Preprocess:
    """Picture operations first (resize, colour), then y = (x * scale - mean) / std on values 0..255.

    `fill` (0..255), `scale`, `mean` and `std` are one number, or one a channel in the tensor's channel order.
    `colour` None means gray for one channel and rgb for three. `layout` is the input tensor's own. With
    `in_model` the model does all of it but what `host_part` leaves."""

    resize: Resize | None = None
    fill: Numbers = 0.0
    filter: Filter = "bilinear"
    colour: Colour | None = None
    scale: Numbers = 1.0
    mean: Numbers = 0.0
    std: Numbers = 1.0
    layout: Layout = "NCHW"
    in_model: InModel | None = None


def from_settings(settings: Mapping[str, Any]) -> Preprocess:
    """The declaration as it stands in a manifest: the keys of `Preprocess`, `color`, nncase's names of keys,
    and `preset`, whose values give way to a key beside it. Raises one error that lists every unknown key and
    wrong value."""
    keys = [field.name for field in fields(Preprocess) if field.name != in_model.SWITCH]
    chosen = dict(settings)
    if "color" in chosen and "colour" not in chosen:
        chosen["colour"] = chosen.pop("color")
    problems = checked_keys(chosen, [*keys, "preset", *in_model.KEYS, *nncase_words.KEYS])
    nncase_words.translate(chosen, problems)
    preset = choice("preset", chosen.pop("preset", None), tuple(PRESETS), problems)
    values: dict[str, Any] = dict(PRESETS[preset]) if preset else {}
    for name in keys:
        if chosen.get(name) is None:
            continue
        if name in _CHOICES:
            values[name] = choice(name, chosen[name], _CHOICES[name], problems)
        else:
            bounds = (0.0, 255.0) if name == "fill" else None
            values[name] = numbers(name, chosen[name], problems, bounds=bounds, zero=name != "std")
    _check_lengths(values, problems)
    own = in_model.taken(chosen, values, problems)
    if problems:
        raise ModelbuildError.of(problems)
    return Preprocess(**values, in_model=own)


def to_json(p: Preprocess) -> dict[str, Any]:
    """Every field, so that the form is complete by itself; `from_settings` reads it back."""
    found = {field.name: getattr(p, field.name) for field in fields(p) if field.name != in_model.SWITCH}
    plain = {name: list(value) if isinstance(value, tuple) else value for name, value in found.items()}
    return {**plain, **({} if p.in_model is None else in_model.to_json(p.in_model))}


def host_part(p: Preprocess) -> Preprocess:
    """What is left for who feeds the model: all of `p`, or with `in_model` the raw picture in the declared
    type, layout and order of colours, at the size that the model takes."""
    given = p.in_model
    if given is None:
        return p
    other: Colour | None = "bgr" if given.input_colour == "bgr" else None
    colour = "gray" if p.colour == "gray" else other
    fill = tuple(reversed(p.fill)) if isinstance(p.fill, tuple) and swaps(p) else p.fill
    low, high = input_range(p) if given.input_type == "float32" else (0.0, 255.0)
    return Preprocess(
        p.resize, fill, p.filter, colour, (high - low) / 255, 0.0 - low, 1.0, given.input_layout, None
    )


def input_range(p: Preprocess) -> tuple[float, float]:
    """What 0 and 255 become before mean and std, where the model normalises: where `scale` differs from
    channel to channel, they stay what they are until then."""
    if p.in_model is not None and p.in_model.input_range is not None:
        return p.in_model.input_range
    if isinstance(p.scale, tuple) or p.scale <= 0:
        return 0.0, 255.0
    return 0.0, 255.0 * p.scale


def swaps(p: Preprocess) -> bool:
    """Whether the model exchanges red and blue of the raw picture."""
    colour = p.colour or "rgb"
    return p.in_model is not None and colour != "gray" and colour != p.in_model.input_colour


def normalisation(p: Preprocess, channels: int) -> list[tuple[float, float, float]]:
    """(scale, mean, std) of each channel, so that y = (x * scale - mean) / std for x in 0..255."""
    low = 0.0 if p.in_model is None else input_range(p)[0]
    parameters = zip(*(_spread(value, channels) for value in (p.scale, p.mean, p.std)), strict=True)
    return [(scale, mean - low, std) for scale, mean, std in parameters]


def resulting_range(p: Preprocess) -> tuple[tuple[float, float], ...]:
    """(low, high) of the tensor for pictures of 0..255: one pair, or one a channel if a parameter has so."""
    pairs = []
    for scale, mean, std in normalisation(p, _parameter_length(p)):
        ends = ((0.0 - mean) / std, (255.0 * scale - mean) / std)
        pairs.append((min(ends), max(ends)))
    return tuple(pairs)


def _check_lengths(values: Mapping[str, Any], problems: list[Problem]) -> None:
    lengths = {name: len(values[name]) for name in _NUMBERS if isinstance(values.get(name), tuple)}
    channels = _CHANNELS.get(values.get("colour") or "")
    for name, length in lengths.items():
        expected = channels or (3 if length > 1 else 1)
        if length not in (1, expected):
            why = (
                f"`colour: {values['colour']}` has {channels} channels"
                if channels
                else "pictures have 1 or 3"
            )
            problems.append(Problem(f"`{name}` has {length} values", f"preprocess.{name}", why))


def apply(image: Image.Image, p: Preprocess, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """The picture as a tensor of `shape`: [1, C, H, W] or [C, H, W], for NHWC likewise; C is 1 or 3.

    `letterbox` fits the picture inside, keeping its aspect, amid a border of `fill`; `crop` covers the tensor
    with it and keeps the middle; `stretch` ignores the aspect. Without `resize`, a picture of another size
    is an error."""
    channels, height, width = _geometry(shape, p)
    colour = colour_of(p, channels)
    source = images.to_8_bit(image).convert("L" if colour == "gray" else "RGB")
    pixels = np.asarray(source).reshape(source.height, source.width, channels)
    if colour == "bgr":
        pixels = pixels[:, :, ::-1]
    pixels = _fit(pixels, p, height, width)
    table = _table(p, channels)
    planes = [table[channel][pixels[:, :, channel]] for channel in range(channels)]
    tensor = np.stack(planes, axis=0 if p.layout == "NCHW" else 2)
    return tensor.reshape(shape)


def _geometry(shape: tuple[int, ...], p: Preprocess) -> tuple[int, int, int]:
    inner = shape[1:] if len(shape) == 4 and shape[0] == 1 else shape
    if len(inner) != 3:
        raise ModelbuildError(
            f"a picture cannot feed an input of shape {list(shape)}",
            why="a picture makes [1, C, H, W], [C, H, W] or, with `layout: NHWC`, [1, H, W, C]",
            advice=_one_picture(shape) or "use .npy or .npz samples for this input",
        )
    channels, height, width = inner if p.layout == "NCHW" else (inner[2], inner[0], inner[1])
    return channels, height, width


def _one_picture(shape: tuple[int, ...]) -> str:
    """How to make a batch of 1 of more."""
    if len(shape) != 4:
        return ""
    wanted = ", ".join(map(str, (1, *shape[1:])))
    return f"use .npy or .npz samples for this input or, if the model takes it, write `shape: [{wanted}]`"


def colour_of(p: Preprocess, channels: int) -> Colour:
    """The order of a tensor of so many channels. Raises where the declaration does not fit them."""
    if channels not in (1, 3):
        raise ModelbuildError(
            f"a picture cannot feed an input of {channels} channels",
            why=f"the layout is {p.layout}; pictures have 1 channel or 3",
            advice="set `layout: NHWC` if the channels come last"
            if p.layout == "NCHW"
            else "use .npy samples",
        )
    colour: Colour = p.colour or ("gray" if channels == 1 else "rgb")
    if _CHANNELS[colour] != channels:
        raise ModelbuildError(
            f"`colour: {colour}` makes {_CHANNELS[colour]} channels, the input has {channels}",
            advice="set `colour: gray`" if channels == 1 else "set `colour: rgb` or `colour: bgr`",
        )
    expected = _parameter_length(p)
    if expected not in (1, channels):
        raise ModelbuildError(
            f"the preprocessing has {expected} values a parameter, the input has {channels} channels",
            why="`fill`, `scale`, `mean` and `std` are one number, or one a channel",
        )
    return colour


def _fit(pixels: resample.Pixels, p: Preprocess, height: int, width: int) -> resample.Pixels:
    rows, columns = pixels.shape[:2]
    if (rows, columns) == (height, width):
        return pixels
    if p.resize is None:
        raise ModelbuildError(
            f"the picture is {columns}x{rows}, the input {width}x{height}",
            why="no `resize` is declared for this input",
            advice="add `resize: stretch`, `letterbox` or `crop` to its `preprocess`",
        )
    size = scaled_size(p, (rows, columns), (height, width))
    if size[0] * size[1] > images.MAX_PIXELS:
        raise ModelbuildError(
            f"the picture is {columns}x{rows}: too long to be cropped to {width}x{height}",
            why=f"it would first grow to {size[1]}x{size[0]}",
            advice="use `resize: letterbox` or another picture",
        )
    pixels = resample.resize(pixels, *size, p.filter)
    top, left = abs(height - size[0]) // 2, abs(width - size[1]) // 2
    if p.resize == "crop":
        return pixels[top : top + height, left : left + width]
    if size == (height, width):
        return pixels
    canvas = np.empty((height, width, pixels.shape[2]), np.uint8)
    canvas[:] = np.asarray(_spread(p.fill, pixels.shape[2]), np.uint8)
    canvas[top : top + size[0], left : left + size[1]] = pixels
    return canvas


def scaled_size(p: Preprocess, source: tuple[int, int], wanted: tuple[int, int]) -> tuple[int, int]:
    """(height, width) of a picture of the size `source` after `resize`, before its border or its cut."""
    (rows, columns), (height, width) = source, wanted
    if p.resize == "stretch":
        return wanted
    if (width * rows <= height * columns) == (p.resize == "letterbox"):
        return max(1, (2 * rows * width + columns) // (2 * columns)), width
    return height, max(1, (2 * columns * height + rows) // (2 * rows))


def _table(p: Preprocess, channels: int) -> list[NDArray[np.float32]]:
    """For each channel the float32 value of each of the 256 pixel values, computed in float64."""
    x = np.arange(256, dtype=np.float64)
    return [((x * scale - mean) / std).astype(np.float32) for scale, mean, std in normalisation(p, channels)]


def _spread(value: Numbers, channels: int) -> tuple[float, ...]:
    if not isinstance(value, tuple):
        return (value,) * channels
    return value if len(value) == channels else value * channels


def _parameter_length(p: Preprocess) -> int:
    return max(len(value) if isinstance(value, tuple) else 1 for value in (p.fill, p.scale, p.mean, p.std))
