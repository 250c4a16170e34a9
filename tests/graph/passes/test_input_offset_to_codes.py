"""A mean in front of a padded convolution: a zero point, or a channel of its own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from modelbuild.graph import guard, in_model
from modelbuild.graph.kept_quantization import entry
from modelbuild.graph.model import Graph
from modelbuild.graph.normalise import normalise
from modelbuild.graph.passes import run_passes
from modelbuild.graph.quantized_border import scale_and_zero
from modelbuild.samples.preprocess import from_settings
from tests.graph.small import after, graph, numbers, only, ops, untouched

PASS = "input_offset_to_codes"
CONV = ("Conv", "x w b", "y", {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]})
WEIGHTS = {"w": numbers(5, 3, 3, 3), "b": numbers(5)}


def raw(settings: dict[str, Any], steps: Any = (CONV,), shape: tuple[int, ...] = (1, 3, 6, 8)) -> Graph:
    """A model that preprocesses by itself, normalised."""
    made = graph(steps, WEIGHTS, x=shape)
    return normalise(in_model.insert(made, {"x": from_settings({"in_model": True, **settings})}))[0]


def zero(found: Graph) -> int:
    return scale_and_zero(found, only(found, "DequantizeLinear"))[1]


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"mean": 127, "std": 128}, 127),
        ({"mean": 255, "std": -1}, 255),
        ({"preset": "kneron", "colour": "bgr"}, 128),
        ({"input_range": [-1, 1], "mean": -0.2}, 102),
        ({"mean": [64, 64, 64], "std": [1, 2, 3], "input_layout": "NHWC"}, 64),
    ],
)
def test_one_mean_is_the_zero_point(settings: dict[str, Any], code: int) -> None:
    before = raw(settings)
    assert "Add" in ops(before)
    found = after(PASS, before)
    assert ops(found) == [op for op in ops(before) if op != "Add"] and zero(found) == code
    kept = entry(found, only(found, "DequantizeLinear").outputs[0])
    assert kept is not None and kept.zero_point == (code,)


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"preset": "imagenet"}, 114),
        ({"preset": "imagenet", "input_layout": "NHWC", "colour": "bgr"}, 114),
        ({"mean": 127.5, "std": 127.5}, 128),
        ({"mean": -60}, 0),
        ({"mean": [0, 255, 0]}, 128),
        ({"mean": 999}, 255),
    ],
)
def test_other_means_are_a_channel_more(settings: dict[str, Any], code: int) -> None:
    before = raw(settings)
    found = after(PASS, before)
    assert [op for op in ops(before) if op != "Add"] == [op for op in ops(found) if op != "Pad"]
    conv, pad = only(found, "Conv"), only(found, "Pad")
    weight = found.constants[conv.inputs[1]]
    assert weight.shape == (5, 4, 3, 3) and zero(found) == code
    step = float(found.constants[pad.inputs[2]]) / scale_and_zero(found, only(found, "DequantizeLinear"))[0]
    assert step == pytest.approx(round(step)) and 0 <= code + round(step) <= 255
    if settings.get("mean", 127.5) == 127.5:  # for means far apart no code is far enough away
        rows = np.abs(weight).max(axis=(2, 3))
        assert (rows[:, 3] <= rows[:, :3].max(axis=1) * 1.0001).all()
    assert set(conv.origin) == {"x.preprocess", "conv_0"} and pad.origin == ("x.preprocess",)


def test_a_border_before_the_mean_keeps_its_value() -> None:
    letterbox = {"resize": "letterbox", "fill": 114, "input_shape": [1, 3, 6, 4]}
    for settings in ({"mean": 127}, {"preset": "imagenet"}, {"mean": 5, "input_layout": "NHWC"}):
        shape = [1, 6, 4, 3] if "input_layout" in settings else [1, 3, 6, 4]
        before = raw({**letterbox, **settings, "input_shape": shape})
        assert "Pad" in ops(before)
        found = after(PASS, before)
        assert "Add" not in ops(found)


def test_two_convolutions_read_one_picture() -> None:
    second = ("Conv", "x w", "z", {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]})
    before = raw({"preset": "imagenet"}, (CONV, ("Relu", "y", "p"), second, ("Add", "p z", "q")))
    found = after(PASS, before)
    assert ops(found).count("Add") == 1 and ops(found).count("Pad") == 1


def test_what_is_read_by_others_keeps_its_mean() -> None:
    pool = ("MaxPool", "x", "y", {"kernel_shape": [2, 2], "strides": [2, 2]})
    untouched(PASS, raw({"preset": "imagenet"}, (pool,)))
    assert "Add" not in ops(after(PASS, raw({"mean": 127}, (pool,))))  # one zero point serves any reader
    deep = ("Conv", "x v", "y", {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "group": 3})
    made = graph((deep,), {"v": numbers(3, 1, 3, 3)}, x=(1, 3, 6, 8))
    p = from_settings({"in_model": True, "preset": "imagenet"})
    untouched(PASS, normalise(in_model.insert(made, {"x": p}))[0])
    untouched(PASS, raw({"mean": 127, "input_type": "float32"}))


def test_any_mean() -> None:
    draw = np.random.default_rng(4)
    for _ in range(25):
        mean = [float(value) for value in draw.uniform(-20, 275, 3)]
        std = [float(value) for value in draw.uniform(0.5, 90, 3) * draw.choice([-1, 1], 3)]
        layout = str(draw.choice(["NCHW", "NHWC"]))
        before = raw({"mean": mean, "std": std, "input_layout": layout})
        found, (row,) = run_passes(before, [PASS])
        assert row.changes == 1 and "Add" not in ops(found)
        guard.check(before, found, bound=1e-5)
