"""Arrays in the layout of a model's source, in and out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from modelbuild import api
from modelbuild.artifacts.feeds import parse
from modelbuild.artifacts.layouts import from_source, recorded, shape_in_source, to_source
from modelbuild.artifacts.runner import FloatRunner
from modelbuild.artifacts.running import run
from modelbuild.errors import ModelbuildError
from modelbuild.graph import in_model, onnx_io
from modelbuild.importers.source import KEY, Source, forget_layouts
from modelbuild.samples.preprocess import from_settings, host_part
from tests.graph.small import graph


def runner(layouts: dict[str, str], op: str = "Relu") -> FloatRunner:
    """y = max(x, 0) on [1, 3, 4, 5], of a source with these layouts."""
    made = graph([(op, "x", "y")], x=(1, 3, 4, 5))
    source = Source("tflite", "test", 0, 0, 1)
    source.layouts = layouts
    source.attach(made)
    return FloatRunner(made, {})


def saved(folder: Path, *shape: int) -> tuple[Any, str]:
    x = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    np.save(folder / "x.npy", x)
    return x, str(folder / "x.npy")


def test_arrays_come_and_go_as_the_source_has_them(tmp_path: Path) -> None:
    opened = runner({"x": "NHWC", "y": "NHWC"})
    x, path = saved(tmp_path, 1, 4, 5, 3)
    found = run(opened, parse([path], opened.inputs, tmp_path), source_layout=True)
    np.testing.assert_array_equal(found.outputs["y"], np.maximum(x, 0))
    with pytest.raises(ModelbuildError, match="has shape"):
        run(opened, parse([path], opened.inputs, tmp_path))


def test_only_what_is_recorded_is_turned(tmp_path: Path) -> None:
    opened = runner({"y": "NHWC"})
    x, path = saved(tmp_path, 1, 3, 4, 5)
    found = run(opened, parse([path], opened.inputs, tmp_path), source_layout=True)
    np.testing.assert_array_equal(found.outputs["y"], np.moveaxis(np.maximum(x, 0), 1, -1))


def test_pictures_have_no_layout_of_their_own(tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (4, 5, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "x.png")
    opened = runner({"x": "NHWC", "y": "NHWC"})
    found = run(opened, parse([str(tmp_path / "x.png")], opened.inputs, tmp_path), source_layout=True)
    np.testing.assert_array_equal(found.outputs["y"][0], pixels.astype(np.float32))


TAGS = {"x": "NHWC", "z": "NHWC", "y": "NHWC", "v": "NDHWC"}


def in_the_model(folder: Path, declared: dict[str, Any]) -> Any:
    """A TFLite model of two inputs and two outputs, one of five dimensions, whose input `x` is declared."""
    made = graph([("Relu", "x", "y"), ("Relu", "z", "v")], x=(1, 3, 4, 5), z=(1, 3, 4, 5, 6))
    made.outputs = ["y", "v"]
    source = Source("tflite", "test", 0, 0, 1)
    source.layouts = TAGS
    source.attach(made)
    declaration = from_settings({"in_model": True, **declared})
    made = in_model.insert(made, {"x": declaration})
    forget_layouts(made, in_model.laid_out(made, {"x": declaration}))
    return FloatRunner(made, {"x": host_part(declaration)})


@pytest.mark.parametrize(
    ("declared", "x", "y"),
    [
        ({}, (1, 3, 4, 5), (1, 4, 5, 3)),
        ({"input_layout": "NHWC"}, (1, 4, 5, 3), (1, 4, 5, 3)),
        ({"input_layout": "NHWC", "output_layout": "NHWC"}, (1, 4, 5, 3), (1, 4, 5, 3)),
        ({"output_layout": "NCHW"}, (1, 3, 4, 5), (1, 3, 4, 5)),
    ],
)
def test_what_is_declared_of_a_layout_is_not_turned_again(
    tmp_path: Path, declared: dict[str, Any], x: tuple[int, ...], y: tuple[int, ...]
) -> None:
    """--source-layout turns what is as the source has it; inputs and outputs that `in_model` lays out are as
    it says, and no others."""
    opened = in_the_model(tmp_path, declared)
    pixels = np.arange(60).reshape(x).astype(np.uint8)
    z = np.random.default_rng(1).normal(size=(1, 4, 5, 6, 3)).astype(np.float32)
    np.savez(tmp_path / "both.npz", x=pixels, z=z)
    found = run(opened, parse([str(tmp_path / "both.npz")], opened.inputs, tmp_path), source_layout=True)
    last = pixels if x[-1] == 3 else np.moveaxis(pixels, 1, -1)
    expected = last if y[-1] == 3 else np.moveaxis(last, -1, 1)
    np.testing.assert_array_equal(found.outputs["y"], expected)
    np.testing.assert_array_equal(found.outputs["v"], np.maximum(z, 0))


def test_a_converted_file_has_the_layouts_of_what_it_was_made_of(tmp_path: Path) -> None:
    made = graph([("Relu", "x", "y")], x=(1, 3, 4, 5))
    source = Source("tflite", "test", 0, 0, 1)
    source.layouts = {"x": "NHWC", "y": "NHWC", "gone": "NHWC"}
    source.attach(made)
    onnx_io.export(made, tmp_path / "made.onnx")
    x, path = saved(tmp_path, 1, 4, 5, 3)
    found = api.run(tmp_path / "made.onnx", path, source_layout=True)
    np.testing.assert_array_equal(found.outputs["y"], np.maximum(x, 0))
    made.metadata[KEY] = '{"layouts": 5}'
    onnx_io.export(made, tmp_path / "made.onnx")
    with pytest.raises(ModelbuildError, match="no layout of a source is recorded"):
        api.run(tmp_path / "made.onnx", path, source_layout=True)


def test_a_source_without_a_layout_of_its_own_is_an_error(tmp_path: Path) -> None:
    opened = runner({})
    _, path = saved(tmp_path, 1, 3, 4, 5)
    with pytest.raises(ModelbuildError, match="no layout of a source is recorded") as caught:
        run(opened, parse([path], opened.inputs, tmp_path), source_layout=True)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("shape", [(2, 3, 4), (1, 3, 4, 5), (1, 3, 4, 5, 6)])
def test_any_number_of_places(shape: tuple[int, ...]) -> None:
    x = np.arange(np.prod(shape)).reshape(shape)
    turned = to_source("x", x, {"x": "N…C"})
    assert turned.shape == shape_in_source(shape)
    np.testing.assert_array_equal(from_source("x", turned, {"x": "N…C"}), x)


@pytest.mark.parametrize("text", ["", "[]", '{"layouts": 5}', "{", "5", "[" * 100_000])
def test_damaged_metadata_is_a_clean_error(text: str) -> None:
    with pytest.raises(ModelbuildError, match="damaged"):
        recorded({KEY: text})
    assert recorded({}) == {} and recorded({KEY: json.dumps({"format": "onnx"})}) == {}


@pytest.mark.parametrize("name", ["tflite/mlperf_vww_96_float.tflite", "keras/mlperf_vww_96.h5"])
def test_real_models_take_their_references_arrays(shared_data: Path, tmp_path: Path, name: str) -> None:
    if name.endswith(".h5"):
        pytest.importorskip("h5py")
    reference = np.load(shared_data / "refs/keras_mlperf_vww_96.npz")
    np.save(tmp_path / "x.npy", reference["x"][:1].astype(np.float32))
    found = api.run(shared_data / "models" / name, str(tmp_path / "x.npy"), source_layout=True)
    [scores] = found.outputs.values()
    np.testing.assert_allclose(scores[0], reference["y"][0], atol=1e-5)


def test_a_caffe_network_runs_with_its_weights(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "models/caffe/lenet"
    reference = np.load(shared_data / "refs/caffe_lenet.npz")
    x = reference["x"].astype(np.float32)
    np.save(tmp_path / "x.npy", np.repeat(x[:1], 64, axis=0))
    source, weights = folder / "deploy.prototxt", folder / "mnist_lenet.caffemodel"
    found = api.run(source, str(tmp_path / "x.npy"), weights=weights)
    assert found.outputs["prob"].shape == (64, 10)
    inspected = api.inspect(source, weights)
    assert inspected["format"] == "prototxt" and inspected["models"][0]["parameters"] > 400_000
    with pytest.raises(ModelbuildError, match="in a file of their own"):
        api.run(source, str(tmp_path / "x.npy"))
    with pytest.raises(ModelbuildError, match="has its weights inside"):
        api.inspect(shared_data / "models/tflite/mlperf_vww_96_float.tflite", weights)
