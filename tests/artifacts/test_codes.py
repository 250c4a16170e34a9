"""Inputs that take a source's codes or raw pixels take arrays of integers in every form of the model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from modelbuild import api
from modelbuild.errors import ModelbuildError
from modelbuild.project.options import BuildOptions

MANIFEST = """\
modelbuild: 1
samples: {codes: {files: data/*.npy}, pictures: {files: data/*.png}}
models:
  coded: {source: coded.onnx, calibration: codes, edit: [{tail: auto}]}
  raw:
    source: net.onnx
    calibration: pictures
    inputs: {x: {preprocess: {in_model: true, mean: 100, std: 50}}}
  fed: {source: net.onnx, calibration: pictures, inputs: {x: {preprocess: {mean: 100, std: 50}}}}
targets: {cam: {chip: kl720}}
packages: {one: {target: cam, models: {coded: {id: 32768}, raw: {id: 32769}, fed: {id: 32770}}}}
"""
SHAPE = [1, 3, 6, 6]


def write(path: Path, kind: int, nodes: list[Any], constants: dict[str, Any], output: Any) -> None:
    weight = np.random.default_rng(1).normal(size=(2, 3, 1, 1)).astype(np.float32)
    arrays = {"w": weight, **constants}
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", kind, SHAPE)],
        [output],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in arrays.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`coded` is a quantized model of int8; what runs after the chip reads its input, too."""
    folder = tmp_path_factory.mktemp("codes")
    scalars = {"s": np.float32(0.02), "z": np.int8(-3), "t": np.float32(0.05), "v": np.int8(4)}
    conv = helper.make_node("Conv", ["f", "w"], ["c"], name="conv")
    nodes = [
        helper.make_node("DequantizeLinear", ["x", "s", "z"], ["f"], name="in"),
        conv,
        helper.make_node("QuantizeLinear", ["c", "t", "v"], ["q"], name="quantize"),
        helper.make_node("DequantizeLinear", ["q", "t", "v"], ["g"], name="dequantize"),
        helper.make_node("ReduceProd", ["g"], ["p"], name="product", axes=[1], keepdims=1),
        helper.make_node("ReduceSum", ["f", "a"], ["u"], name="sum", keepdims=1),
        helper.make_node("Sub", ["p", "u"], ["y"], name="last"),
    ]
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1, 6, 6])
    write(folder / "coded.onnx", TensorProto.INT8, nodes, {**scalars, "a": np.array([1])}, output)
    conv = helper.make_node("Conv", ["x", "w"], ["y"], name="conv")
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 2, 6, 6])
    write(folder / "net.onnx", TensorProto.FLOAT, [conv], {}, output)
    (folder / "data").mkdir()
    draw = np.random.default_rng(2)
    for index in range(3):
        np.save(folder / f"data/{index}.npy", draw.integers(-128, 128, SHAPE).astype(np.int8))
        pixels = draw.integers(0, 256, (6, 6, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"data/{index}.png")
        np.savez(folder / f"data/{index}.npz", x=pixels.transpose(2, 0, 1)[None])
    (folder / "models.yaml").write_text(MANIFEST, encoding="utf-8")
    result = api.build(api.open_project(folder), (), BuildOptions(jobs=1))
    assert result.ok, [str(error) for _, error in result.failures]
    return folder


def run(folder: Path, pair: str, level: str, file: str) -> Any:
    runner = api.open_form(api.open_project(folder), pair, level)
    return api.run_opened(runner, [str(folder / file)]).outputs["y"]


LEVELS = ("float", "fixed", "hardware")


@pytest.mark.parametrize("level", LEVELS)
def test_raw_pixels_are_taken_as_a_picture_is(project: Path, level: str) -> None:
    as_array, as_picture = (run(project, "raw@cam", level, f"data/1.{end}") for end in ("npz", "png"))
    assert np.array_equal(as_array, as_picture)


@pytest.mark.parametrize("level", LEVELS)
def test_a_quantized_sources_codes_are_taken(project: Path, level: str) -> None:
    found = run(project, "coded@cam", level, "data/1.npy")
    exact = run(project, "coded@cam", "float", "data/1.npy")
    assert np.abs(found - exact).max() <= 0.1 * np.ptp(exact)


def test_a_package_takes_them_too(project: Path) -> None:
    [package] = (project / "dist/one").glob("*.nef")
    runner = api.open_file(package, "raw")
    found = api.run_opened(runner, [str(project / "data/2.npz")]).outputs["y"]
    assert np.array_equal(found, run(project, "raw@cam", "hardware", "data/2.png"))


@pytest.mark.parametrize("level", LEVELS)
def test_integers_for_real_numbers_stay_refused(project: Path, level: str) -> None:
    with pytest.raises(ModelbuildError, match="the array holds uint8"):
        run(project, "fed@cam", level, "data/1.npz")


@pytest.mark.parametrize("level", LEVELS[1:])
def test_integers_that_do_not_fit_are_refused(project: Path, level: str, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.full(SHAPE, 300))
    with pytest.raises(ModelbuildError, match="beyond uint8"):
        run(project, "raw@cam", level, str(tmp_path / "x.npy"))
