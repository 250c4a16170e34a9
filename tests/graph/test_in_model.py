"""Preprocessing in the model: what the host would have fed, within one step of a pixel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from modelbuild.errors import ModelbuildError
from modelbuild.graph import in_model, shapes
from modelbuild.graph.model import Graph, Node
from modelbuild.graph.normalise import normalise
from modelbuild.graph.session import FloatSession
from modelbuild.samples.preprocess import apply, from_settings, host_part
from tests.hypotheses import examples

Settings = dict[str, Any]


def passing(shape: tuple[int, ...] = (1, 3, 12, 16)) -> Graph:
    """A model that gives its input."""
    graph = Graph("net", [Node("Identity", "same", ["x"], ["y"])], ["x"], ["y"], {})
    graph.shapes, graph.dtypes = {"x": shape}, {"x": np.dtype(np.float32)}
    shapes.infer(graph)
    return graph


def fed(graph: Graph, image: Image.Image, settings: Settings) -> tuple[Any, Any]:
    """What the host makes of a picture, and what the model with the preprocessing inside makes of it."""
    declared = from_settings({**settings, "in_model": True})
    switched = {key: value for key, value in settings.items() if key not in ("input_range",)}
    alone = {key: switched[key] for key in switched if not key.startswith(("input_", "output_"))}
    if "input_range" in settings:
        low, high = settings["input_range"]
        mean = alone.get("mean", 0.0)
        alone["mean"] = [m - low for m in mean] if isinstance(mean, list) else mean - low
        alone["scale"] = (high - low) / 255
    expected = apply(image, from_settings(alone), graph.shapes["x"])
    inside = in_model.insert(graph, {"x": declared})
    raw = apply(image, host_part(declared), inside.shapes["x"]).astype(inside.dtypes["x"])
    found = FloatSession(inside).run({"x": raw})["y"]
    normal, _ = normalise(inside)
    np.testing.assert_allclose(FloatSession(normal).run({"x": raw})["y"], found, atol=1e-4)
    return expected, found


def step(settings: Settings) -> float:
    """One step of 255 after the normalisation."""
    p = from_settings({**settings, "in_model": True})
    scale = max(p.scale) if isinstance(p.scale, tuple) else p.scale
    return scale / (min(p.std) if isinstance(p.std, tuple) else p.std)


def picture(height: int, width: int, seed: int = 1) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8))


NUMBERS: list[Settings] = [
    {},
    {"mean": 127, "std": 128},
    {"preset": "imagenet", "colour": "bgr"},
    {"preset": "imagenet", "input_layout": "NHWC"},
    {"preset": "kneron", "colour": "rgb", "input_colour": "bgr", "input_layout": "NHWC"},
    {"colour": "bgr", "input_colour": "bgr"},
    {"input_range": [0, 1], "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]},
    {"input_range": [-1, 1], "mean": [0.1, 0.2, 0.3], "colour": "bgr"},
    {"scale": [0.1, 0.2, 0.3], "mean": [1, 2, 3], "input_layout": "NHWC", "colour": "bgr"},
    {"input_type": "float32", "mean": [1, 2, 3], "scale": 0.5},
    {"input_type": "float32", "input_range": [-1, 1], "mean": [0.1, 0.2, 0.3], "std": 2},
]


@pytest.mark.parametrize("settings", NUMBERS)
def test_numbers_orders_and_layouts_are_the_hosts(settings: Settings) -> None:
    expected, found = fed(passing(), picture(12, 16), settings)
    assert np.abs(expected - found).max() <= 1e-5 * max(1.0, np.abs(expected).max())


SIZES = [(24, 32), (30, 20), (9, 31), (12, 16), (6, 8), (5, 16), (200, 17)]


@pytest.mark.parametrize("resize", ["letterbox", "stretch", "crop"])
@pytest.mark.parametrize("kernel", ["bilinear", "nearest", "area"])
def test_resizing_is_the_hosts_within_one_step(resize: str, kernel: str) -> None:
    for index, (height, width) in enumerate(SIZES):
        settings: Settings = {"resize": resize, "filter": kernel, "fill": [114, 20, 250], "std": 3, "mean": 5}
        raw = [1, height, width, 3] if index % 2 else [1, 3, height, width]
        settings |= {"input_shape": raw, "input_layout": "NHWC" if index % 2 else "NCHW", "colour": "bgr"}
        expected, found = fed(passing(), picture(height, width, index), settings)
        assert np.abs(expected - found).max() <= step(settings) * 1.001, (height, width)


def test_real_pictures(shared_data: Path) -> None:
    paths = (
        sorted((shared_data / "images/eval").glob("*.jpg"))[:6]
        or sorted((shared_data / "images/eval").glob("**/*.jp*g"))[:6]
    )
    assert paths
    for path in paths:
        image = Image.open(path).convert("RGB")
        for resize in ("letterbox", "stretch"):
            settings: Settings = {"preset": "imagenet", "resize": resize, "fill": 114}
            settings |= {"input_layout": "NHWC", "input_shape": [1, image.height, image.width, 3]}
            expected, found = fed(passing((1, 3, 96, 128)), image, settings)
            assert np.abs(expected - found).max() <= step(settings) * 1.001


@given(
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.sampled_from(["letterbox", "stretch", "crop"]),
    st.sampled_from(["bilinear", "nearest", "area"]),
)
@examples(30)
def test_any_size(size: tuple[int, int], resize: str, kernel: str) -> None:
    chosen: Settings = {"resize": resize, "filter": kernel, "fill": 7, "input_shape": [1, 3, *size]}
    expected, found = fed(passing(), picture(*size), chosen)
    assert np.abs(expected - found).max() <= 1.001


def test_the_input_takes_raw_pictures_and_keeps_its_name() -> None:
    graph = passing()
    p = from_settings({"in_model": True, "input_layout": "NHWC", "resize": "stretch", "mean": 5})
    inside = in_model.insert(graph, {"x": p})
    assert inside.inputs == ["x"] and inside.shapes["x"] == (1, 12, 16, 3)
    assert inside.dtypes["x"] == np.uint8
    assert graph.shapes["x"] == (1, 3, 12, 16)
    added = [node for node in inside.nodes if node.op != "Identity"]
    assert {node.origin for node in added} == {("x.preprocess",)}
    names = ["x_preprocess_dequantizelinear", "x_preprocess_transpose", "x_preprocess_add"]
    assert [node.name for node in added] == names


def test_the_factor_goes_into_padded_convolutions_and_the_shift_stays() -> None:
    weight = np.random.default_rng(2).normal(size=(4, 3, 3, 3)).astype(np.float32)
    graph = passing()
    pads: dict[str, Any] = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
    graph.nodes = [Node("Conv", "conv", ["x", "w"], ["y"], pads, "", ("conv",))]
    graph.constants = {"w": weight}
    shapes.infer(graph)
    settings: Settings = {"preset": "imagenet", "input_layout": "NHWC", "colour": "bgr"}
    image = picture(12, 16)
    host = apply(image, from_settings({"preset": "imagenet", "colour": "bgr"}), graph.shapes["x"])
    declared = from_settings({**settings, "in_model": True})
    normal, _ = normalise(in_model.insert(graph, {"x": declared}))
    assert sorted(node.op for node in normal.nodes) == ["Add", "Conv", "DequantizeLinear", "Transpose"]
    raw = apply(image, host_part(declared), normal.shapes["x"]).astype(np.uint8)
    expected = FloatSession(graph).run({"x": host})["y"]
    np.testing.assert_allclose(FloatSession(normal).run({"x": raw})["y"], expected, atol=1e-3)


def test_a_model_of_other_layouts() -> None:
    graph = passing((1, 12, 16, 3))
    expected, found = fed(graph, picture(12, 16), {"layout": "NHWC", "mean": [1, 2, 3], "colour": "bgr"})
    np.testing.assert_allclose(expected, found, atol=1e-4)
    inside = in_model.insert(passing(), {"x": from_settings({"in_model": True, "output_layout": "NHWC"})})
    assert inside.shapes["y"] == (1, 12, 16, 3)


def test_it_folds_into_the_first_convolution() -> None:
    weight = np.random.default_rng(2).normal(size=(4, 3, 3, 3)).astype(np.float32)
    graph = passing()
    graph.nodes = [Node("Conv", "conv", ["x", "w"], ["y"], {"kernel_shape": [3, 3]}, "", ("conv",))]
    graph.constants = {"w": weight}
    shapes.infer(graph)
    declared = from_settings({"in_model": True, "preset": "imagenet", "colour": "bgr"})
    normal, _ = normalise(in_model.insert(graph, {"x": declared}))
    assert [node.op for node in normal.nodes] == ["DequantizeLinear", "Conv"]
    assert set(normal.nodes[1].origin) == {"x.preprocess", "conv"}


@pytest.mark.parametrize(
    ("shape", "settings", "what"),
    [
        ((1, 16), {}, "four dimensions"),
        ((1, 5, 12, 16), {}, "5 channels"),
        ((2, 3, 12, 16), {}, "takes one picture"),
        ((1, 3, 12, 16), {"resize": "crop", "input_shape": [1, 1, 9, 9]}, "has 1 channels"),
        ((1, 1, 12, 16), {"colour": "bgr"}, "`colour: bgr` makes 3 channels"),
        ((1, 3, 12, 16), {"scale": 0}, "`scale: 0` leaves nothing"),
        ((1, 3, 12, 16), {"output_layout": "NHWC", "flat": True}, "no output of four dimensions"),
    ],
)
def test_what_cannot_be_fed(shape: tuple[int, ...], settings: Settings, what: str) -> None:
    graph = passing(shape)
    if settings.pop("flat", False):
        graph.nodes = [Node("Flatten", "flat", ["x"], ["y"])]
        shapes.infer(graph)
    with pytest.raises(ModelbuildError, match=what) as caught:
        in_model.insert(graph, {"x": from_settings({**settings, "in_model": True})})
    assert caught.value.exit_code == 2 and caught.value.problems[0].where.startswith("inputs")


def _each(values: st.SearchStrategy[float]) -> st.SearchStrategy[Any]:
    """One number, or one a channel."""
    return values | st.lists(values, min_size=3, max_size=3)


COMBINED = st.fixed_dictionaries(
    {
        "layout": st.sampled_from(["NCHW", "NHWC"]),
        "resize": st.sampled_from(["letterbox", "stretch", "crop"]),
    },
    optional={
        "colour": st.sampled_from(["rgb", "bgr"]),
        "input_colour": st.sampled_from(["rgb", "bgr"]),
        "input_layout": st.sampled_from(["NCHW", "NHWC"]),
        "input_type": st.sampled_from(["uint8", "float32"]),
        "input_range": st.sampled_from([[0, 1], [-1, 1], [-128, 127], [0.5, 3]]),
        "filter": st.sampled_from(["bilinear", "nearest", "area"]),
        "fill": _each(st.integers(0, 255)),
        "mean": _each(st.integers(-3, 130)),
        "std": _each(st.sampled_from([0.25, 1, 64, 255])),
    },
)


@given(COMBINED, st.tuples(st.integers(1, 30), st.integers(1, 30)), st.booleans())
@examples(40)
def test_any_combination_is_the_hosts_within_one_step(
    chosen: Settings, size: tuple[int, int], resized_inside: bool
) -> None:
    shape = (1, 3, 12, 16) if chosen["layout"] == "NCHW" else (1, 12, 16, 3)
    raw = chosen.get("input_layout", chosen["layout"])
    if resized_inside:
        chosen = {**chosen, "input_shape": [1, 3, *size] if raw == "NCHW" else [1, *size, 3]}
    expected, found = fed(passing(shape), picture(*size), chosen)
    allowed = step(chosen) * 1.001 if resized_inside else 0.0
    assert np.abs(expected - found).max() <= allowed + 1e-5 * max(1.0, np.abs(expected).max())
