"""Raw pictures in: what is left of preprocessing on the CPU, bit by bit in the vendor's simulator."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bench.kpu.inside import variants
from modelbuild.chips.load import load_recipe
from modelbuild.graph import in_model
from modelbuild.graph.model import Graph, Node
from modelbuild.kpu.predicting.prediction import predict
from modelbuild.samples.preprocess import apply, from_settings, host_part
from tests.kpu.emitting.running import check_judged, check_simulated, compiled
from tests.kpu.lowering.made import Lowered, conv, lowered, network, weights

Settings = dict[str, Any]
SIZE = (20, 48)
PICTURES = 6

ROWS = {"input_layout": "NHWC"}
NEAREST = {"filter": "nearest", "fill": 114}
RANGE = {"input_range": [-1, 1], "mean": -0.2, "std": [0.5, 0.6, 0.7], "swapRB": True}
LINES = {"letterbox_value": 114, "input_range": [0, 255], "mean": 127, "std": 128}
# name -> the declaration, what the CPU does before the first layer, and the zero point of what that reads
RAW: dict[str, tuple[Settings, str, int]] = {
    "nothing": ({}, "", 0),
    "mean and std": ({"mean": 127, "std": 128}, "", 127),
    "range, swapped": (RANGE, "", 102),
    "rows of colours": ({"preset": "kneron", "input_layout": "NHWC", "colour": "bgr"}, "transpose", 128),
    "ImageNet": ({"preset": "imagenet"}, "pad", 114),
    "half a code": ({"mean": 127.5, "std": 127.5, "input_layout": "NHWC"}, "transpose pad", 128),
    "nearest": (
        {**NEAREST, "mean": 100, "resize": "letterbox", "input_shape": [1, 3, 30, 52]},
        "gather gather pad",
        100,
    ),
    "crop": (
        {
            **NEAREST,
            "preset": "imagenet",
            "resize": "crop",
            "input_layout": "NHWC",
            "input_shape": [1, 40, 66, 3],
        },
        "transpose gather transpose gather slice transpose pad",
        114,
    ),
    "lines": (
        {**LINES, "input_shape": [1, 3, 32, 64]},
        "dequantize conv binary reshape transpose reshape conv binary quantize reshape transpose reshape pad",
        127,
    ),
}
SIMULATED = ("range, swapped", "ImageNet", "crop", "lines")


def net(channels: int = 3) -> Graph:
    made = weights(w=(8, channels, 3, 3), v=(6, 8, 3, 3))
    nodes = [conv("x", "a", "w"), Node("Relu", "relu", ["a"], ["b"]), conv("b", "y", "v", stride=2)]
    return network(nodes, (1, channels, *SIZE), made)


@cache
def pictures(height: int, width: int) -> tuple[Image.Image, ...]:
    """Smooth ones, from black to white."""
    draw = np.random.default_rng(7)
    small = [Image.fromarray(draw.integers(0, 256, (5, 6, 3), np.uint8)) for _ in range(PICTURES)]
    return tuple(one.resize((width, height), Image.Resampling.BICUBIC) for one in small)


@cache
def both(name: str) -> tuple[Lowered, Lowered]:
    """With the preprocessing inside, and fed with what that makes."""
    p = from_settings({"in_model": True, **RAW[name][0]})
    assert p.in_model is not None
    graph = in_model.insert(net(), {"x": p})
    shape = graph.shapes["x"]
    size = shape[1:3] if p.in_model.input_layout == "NHWC" else shape[2:]
    raw = [{"x": apply(one, host_part(p), shape).astype(np.uint8)} for one in pictures(*size)]
    fed = [{"x": apply(one, replace(p, in_model=None), (1, 3, *SIZE))} for one in pictures(*size)]
    return lowered(graph, samples=raw), lowered(net(), samples=fed)


@pytest.mark.parametrize("name", RAW)
def test_pixels_go_to_the_kpu_as_they_are(name: str) -> None:
    _, before, zero = RAW[name]
    raw, fed = both(name)
    layer = next(each for each in raw.fixed.operators if each.kind == "kpu_conv")
    kinds = [each.kind for each in raw.fixed.operators[: raw.fixed.operators.index(layer)]]
    assert sorted(kinds) == sorted(["lookup", *before.split()])
    read = raw.fixed.tensors[layer.inputs[0]]
    assert read.zero_point == zero and layer.parameters["pad_value"] == zero
    resized = "conv" in before  # the host rounds what it resizes to whole pixels; here they are the input
    assert raw.snr() > fed.snr() - (0.7 if resized else 0.1)


def test_what_calls_codes_by_another_scale_costs_nothing() -> None:
    raw, _ = both("mean and std")
    made = compiled(raw.fixed)
    assert [step.name for step in made.executed] == ["kpu_upload", "kpu_conv2d", "kpu_conv2d", "dequantize"]
    told = predict(raw.graph, raw.units, load_recipe("k210"))
    assert [each.op for each in told.on_cpu] == ["dequantize"]


def test_one_channel_has_a_second_for_half_a_code() -> None:
    p = from_settings({"in_model": True, "mean": 127.5, "std": 127.5, "colour": "gray"})
    graph = in_model.insert(net(1), {"x": p})
    raw = [{"x": apply(one, host_part(p), (1, 1, *SIZE)).astype(np.uint8)} for one in pictures(*SIZE)]
    made = lowered(graph, samples=raw)
    assert [each.kind for each in made.fixed.operators][:3] == ["lookup", "pad", "kpu_conv"]
    assert made.fixed.tensors[made.fixed.operators[2].inputs[0]].shape[1] == 2
    assert made.snr() > 33


def test_outputs_have_the_layout_that_is_asked_for() -> None:
    p = from_settings({"in_model": True, "mean": 127, "output_layout": "NHWC"})
    graph = in_model.insert(net(), {"x": p})
    raw = [{"x": apply(one, host_part(p), (1, 3, *SIZE)).astype(np.uint8)} for one in pictures(*SIZE)]
    made = lowered(graph, samples=raw)
    assert made.fixed.tensors["y"].shape == (1, SIZE[0] // 2, SIZE[1] // 2, 6)
    assert [each.kind for each in made.fixed.operators][-2:] == ["transpose", "dequantize"]
    check_simulated(made.fixed, raw[0], compiled(made.fixed))


@pytest.mark.parametrize("name", RAW)
def test_every_byte_in_our_simulator(name: str) -> None:
    raw, _ = both(name)
    check_simulated(raw.fixed, raw.samples[0], compiled(raw.fixed))


@pytest.mark.parametrize("name", SIMULATED)
def test_every_byte_in_the_vendors_simulator(name: str) -> None:
    raw, _ = both(name)
    assert raw.samples[0]["x"].dtype == np.uint8
    check_judged(raw.fixed, raw.samples[1], compiled(raw.fixed))
    for shown in variants(raw.fixed):
        check_judged(shown, raw.samples[2], compiled(shown))
