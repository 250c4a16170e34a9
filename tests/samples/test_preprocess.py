"""Declarations, picture geometry and numbers of preprocessing."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from PIL import Image

from modelbuild.errors import ModelbuildError
from modelbuild.samples.preprocess import (
    PRESETS,
    Preprocess,
    apply,
    from_settings,
    resulting_range,
    to_json,
)


def picture(height: int, width: int, seed: int = 1) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8))


def test_numbers_follow_the_formula() -> None:
    image = picture(4, 6)
    p = from_settings({"scale": 1 / 255, "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]})
    tensor = apply(image, p, (1, 3, 4, 6))
    x = np.asarray(image).astype(np.float64).transpose(2, 0, 1)
    mean = np.array([0.485, 0.456, 0.406]).reshape(3, 1, 1)
    std = np.array([0.229, 0.224, 0.225]).reshape(3, 1, 1)
    assert tensor.dtype == np.float32 and tensor.shape == (1, 3, 4, 6)
    np.testing.assert_array_equal(tensor[0], ((x * (1 / 255) - mean) / std).astype(np.float32))


def test_ultraface_and_kneron_values() -> None:
    white = Image.new("RGB", (2, 2), (255, 127, 0))
    tensor = apply(white, from_settings({"mean": 127, "std": 128}), (1, 3, 2, 2))
    assert tensor[0, :, 0, 0].tolist() == [1.0, 0.0, -0.9921875]
    tensor = apply(white, from_settings({"preset": "kneron"}), (3, 2, 2))
    assert tensor[:, 1, 1].tolist() == [255 / 256 - 0.5, 127 / 256 - 0.5, -0.5]


def test_a_key_beside_a_preset_replaces_its_value() -> None:
    p = from_settings({"preset": "imagenet", "std": 1, "resize": "crop"})
    assert (p.mean, p.std, p.scale, p.resize) == ((0.485, 0.456, 0.406), 1.0, 1 / 255, "crop")
    for name in PRESETS:
        assert from_settings(to_json(from_settings({"preset": name}))) == from_settings({"preset": name})


def test_colour_orders() -> None:
    image = Image.new("RGB", (1, 1), (10, 20, 30))
    shape = (1, 3, 1, 1)
    assert apply(image, Preprocess(), shape).ravel().tolist() == [10, 20, 30]
    assert apply(image, from_settings({"color": "bgr"}), shape).ravel().tolist() == [30, 20, 10]
    assert apply(image, from_settings({"colour": "bgr", "mean": [30, 0, 0]}), shape).ravel()[0] == 0
    grey = round(0.299 * 10 + 0.587 * 20 + 0.114 * 30)
    assert apply(image, Preprocess(), (1, 1, 1, 1)).ravel().tolist() == [grey]
    lone = Image.new("L", (1, 1), 7)
    assert apply(lone, Preprocess(colour="rgb"), shape).ravel().tolist() == [7, 7, 7]


def test_layout_nhwc_holds_the_same_values() -> None:
    image = picture(5, 4)
    first = apply(image, from_settings({"mean": [1, 2, 3]}), (1, 3, 5, 4))
    last = apply(image, from_settings({"mean": [1, 2, 3], "layout": "NHWC"}), (1, 5, 4, 3))
    np.testing.assert_array_equal(first.transpose(0, 2, 3, 1), last)


def test_letterbox_is_centred_and_filled() -> None:
    p = from_settings({"resize": "letterbox", "fill": [114, 0, 255]})
    tensor = apply(Image.new("RGB", (40, 20), (9, 9, 9)), p, (1, 3, 11, 10))[0]
    inside = (tensor == 9).all(axis=0)
    assert inside.sum(axis=1).tolist() == [0, 0, 0, 10, 10, 10, 10, 10, 0, 0, 0]
    assert tensor[:, 0, 0].tolist() == [114, 0, 255]
    wide = apply(Image.new("RGB", (20, 40), (9, 9, 9)), p, (1, 3, 10, 12))[0]
    assert (wide == 9).all(axis=(0, 1)).tolist() == [False] * 3 + [True] * 5 + [False] * 4


def test_crop_keeps_the_middle() -> None:
    columns = np.broadcast_to(np.arange(20, dtype=np.uint8)[None, :, None], (10, 20, 3))
    tensor = apply(Image.fromarray(np.ascontiguousarray(columns)), Preprocess(resize="crop"), (1, 3, 10, 10))
    assert tensor[0, 0, 0].tolist() == list(range(5, 15))


def test_stretch_ignores_the_aspect() -> None:
    tensor = apply(picture(30, 10), Preprocess(resize="stretch"), (1, 3, 6, 9))
    assert tensor.shape == (1, 3, 6, 9)


@pytest.mark.parametrize("mode", ["stretch", "letterbox", "crop"])
@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 1), (7, 13)])
def test_every_shape_of_picture_fits(mode: str, size: tuple[int, int]) -> None:
    tensor = apply(picture(*size), from_settings({"resize": mode}), (1, 3, 8, 6))
    assert tensor.shape == (1, 3, 8, 6)


def test_crop_of_an_endless_strip_is_refused() -> None:
    strip = Image.new("RGB", (60000, 1))
    with pytest.raises(ModelbuildError, match="too long to be cropped") as caught:
        apply(strip, Preprocess(resize="crop"), (1, 3, 224, 224))
    assert "letterbox" in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "shape", "message"),
    [
        ({}, (1, 3, 9, 9), "the picture is 6x4, the input 9x9"),
        ({"colour": "gray"}, (1, 3, 4, 6), "`colour: gray` makes 1 channels, the input has 3"),
        ({"colour": "rgb"}, (1, 1, 4, 6), "`colour: rgb` makes 3 channels, the input has 1"),
        ({"mean": [1, 2, 3]}, (1, 1, 4, 6), "3 values a parameter, the input has 1 channels"),
        ({}, (1, 4, 4, 6), "4 channels"),
        ({}, (1, 4, 6, 3), "4 channels"),
        ({}, (2, 3, 4, 6), "[2, 3, 4, 6]"),
        ({}, (1, 10), "[1, 10]"),
    ],
)
def test_what_does_not_fit_is_said(settings: dict[str, Any], shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ModelbuildError) as caught:
        apply(picture(4, 6), from_settings(settings), shape)
    assert message in str(caught.value) and caught.value.exit_code == 2
    assert caught.value.problems[0].advice or caught.value.problems[0].why


@pytest.mark.parametrize(
    ("settings", "key", "advice"),
    [
        ({"rezise": "crop"}, "preprocess.rezise", "resize"),
        ({"resize": "letter"}, "preprocess.resize", "letterbox"),
        ({"preset": "imagnet"}, "preprocess.preset", "imagenet"),
        ({"colour": "rbg"}, "preprocess.colour", "rgb"),
        ({"std": 0}, "preprocess.std", ""),
        ({"std": [1, 0, 1]}, "preprocess.std", ""),
        ({"mean": "much"}, "preprocess.mean", ""),
        ({"mean": True}, "preprocess.mean", ""),
        ({"scale": float("nan")}, "preprocess.scale", ""),
        ({"mean": []}, "preprocess.mean", ""),
        ({"mean": [1, 2]}, "preprocess.mean", ""),
        ({"colour": "gray", "mean": [1, 2, 3]}, "preprocess.mean", ""),
        ({"fill": 300}, "preprocess.fill", ""),
        ({"fill": 114.5}, "preprocess.fill", ""),
    ],
)
def test_wrong_settings_name_the_key(settings: dict[str, Any], key: str, advice: str) -> None:
    with pytest.raises(ModelbuildError) as caught:
        from_settings(settings)
    (problem,) = caught.value.problems
    assert problem.where == key and advice in problem.advice and caught.value.exit_code == 2


def test_all_wrong_settings_are_said_at_once() -> None:
    with pytest.raises(ModelbuildError) as caught:
        from_settings({"sdt": 1, "resize": "squeeze", "scale": "big"})
    assert [problem.where for problem in caught.value.problems] == [
        "preprocess.sdt",
        "preprocess.resize",
        "preprocess.scale",
    ]


def test_ranges() -> None:
    assert resulting_range(Preprocess()) == ((0.0, 255.0),)
    assert resulting_range(from_settings({"preset": "kneron"})) == ((-0.5, 255 / 256 - 0.5),)
    assert resulting_range(from_settings({"scale": -1})) == ((-255.0, 0.0),)
    ranges = resulting_range(from_settings({"mean": [0, 255, 51], "std": 51}))
    assert ranges == ((0.0, 5.0), (-5.0, 0.0), (-1.0, 4.0))


def test_json_form_is_complete_and_returns() -> None:
    p = from_settings(
        {"resize": "letterbox", "fill": [1, 2, 3], "mean": 127, "std": [1, 2, 3], "color": "bgr"}
    )
    text = json.dumps(to_json(p), sort_keys=True)
    assert from_settings(json.loads(text)) == p
    assert set(to_json(p)) == {"resize", "fill", "filter", "colour", "scale", "mean", "std", "layout"}


def test_a_std_of_zero_says_what_to_do() -> None:
    with pytest.raises(ModelbuildError) as caught:
        from_settings({"std": 0})
    (problem,) = caught.value.problems
    assert problem.advice == "leave it out, or write 1: nothing is divided then"
