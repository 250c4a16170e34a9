"""`init`: what is written, what is refused, and that nothing half written stays."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from modelbuild.errors import ModelbuildError
from modelbuild.project.pack_manifest import PackRequest, text_of
from modelbuild.project.starting import init


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    weight = numpy_helper.from_array(np.ones((2, 3, 1, 1), np.float32), "w")
    graph = helper.make_graph(
        [helper.make_node("Conv", ["image", "w"], ["scores"], name="c")],
        "net",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, 8, 8])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", 2, 8, 8])],
        [weight],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, tmp_path / "net.onnx")
    return tmp_path


def start(folder: Path, *chips: str, **options: object) -> str:
    init(str(folder / "net.onnx"), chips or ("kl720",), directory=folder, **options)  # type: ignore[arg-type]
    return (folder / "models.yaml").read_text(encoding="utf-8")


def test_a_chip_named_twice_is_one_target(folder: Path) -> None:
    assert start(folder, "kl720", "720").count("chip: kl720") == 1


def test_a_given_shape_is_written(folder: Path) -> None:
    assert "shape: [1, 3, 8, 8]" in start(folder, shapes={"image": (1, 3, 8, 8)})


@pytest.mark.parametrize(
    ("shapes", "says"),
    [
        ({"imag": (1, 3, 8, 8)}, "no input `imag`"),
        ({"image": (1, 3, 8)}, "does not fit the input `image`"),
        ({"image": (1, 4, 8, 8)}, "does not fit the input `image`"),
    ],
)
def test_a_shape_that_cannot_be_is_refused_and_nothing_written(
    folder: Path, shapes: dict[str, tuple[int, ...]], says: str
) -> None:
    with pytest.raises(ModelbuildError, match=says):
        start(folder, shapes=shapes)
    assert [path.name for path in folder.iterdir()] == ["net.onnx"]


NETWORK = """\
layer { name: "data" type: "Input" top: "data" input_param { shape: { dim: 64 dim: 1 dim: 8 dim: 8 } } }
layer { name: "pool" type: "Pooling" bottom: "data" top: "y" pooling_param { kernel_size: 2 stride: 2 } }
"""


@pytest.fixture
def batch(tmp_path: Path) -> Path:
    """A Caffe network whose file has a batch of 64; it takes any."""
    (tmp_path / "net.prototxt").write_text(NETWORK, encoding="utf-8")
    (tmp_path / "net.caffemodel").write_bytes(b"\x0a\x00")
    np.save(tmp_path / "x.npy", np.zeros((1, 8, 8), np.float32))
    return tmp_path


def test_a_batch_that_no_sample_feeds_becomes_1(batch: Path) -> None:
    init(str(batch / "net.prototxt"), ["kl720"], directory=batch, weights=batch / "net.caffemodel")
    assert "data: {shape: [1, 1, 8, 8], " in (batch / "models.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize("shapes", [{}, {"data": (1, 1, 8, 8)}])
def test_pack_takes_the_shapes_that_a_manifest_may_give(batch: Path, shapes: dict[str, Any]) -> None:
    request = PackRequest("net.prototxt", "kl720", batch, ["x.npy"], shapes=shapes, weights="net.caffemodel")
    assert "data: {shape: [1, 1, 8, 8], " in text_of(request)
    taller = replace(request, shapes={"data": (1, 1, 16, 8)})
    assert "data: {shape: [1, 1, 16, 8], " in text_of(taller)
    with pytest.raises(ModelbuildError, match=r"\[1, 8, 8\] does not fit the input `data`"):
        text_of(replace(request, shapes={"data": (1, 8, 8)}))


def test_a_model_that_cannot_be_imported_gets_no_manifest(folder: Path) -> None:
    graph = helper.make_graph(
        [helper.make_node("Bernoulli", ["x"], ["y"], name="dice")],
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4])],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), folder / "net.onnx")
    with pytest.raises(ModelbuildError, match="dice"):
        start(folder)
    assert not (folder / "models.yaml").exists()


def test_gitignore_keeps_what_it_has(folder: Path) -> None:
    (folder / ".gitignore").write_text("mine\ndist/", encoding="utf-8")
    start(folder)
    assert (folder / ".gitignore").read_text(encoding="utf-8") == "mine\ndist/\n.modelbuild/\nreports/\n"


def test_a_gitignore_that_cannot_be_read_stops_before_anything_is_written(folder: Path) -> None:
    (folder / ".gitignore").write_bytes(b"\xff\xfe")
    with pytest.raises(ModelbuildError, match="gitignore"):
        start(folder)
    assert not (folder / "models.yaml").exists()


def test_a_folder_that_is_not_there(folder: Path) -> None:
    with pytest.raises(ModelbuildError, match=r"z\.yaml: cannot be written"):
        init(str(folder / "net.onnx"), ["kl720"], directory=folder / "none", file="z.yaml")


def test_an_existing_manifest_stays_and_is_named_once(folder: Path) -> None:
    start(folder, "kl720")
    before = (folder / "models.yaml").read_bytes()
    with pytest.raises(ModelbuildError) as caught:
        init("net.onnx", ["kl720"], directory=folder)
    assert str(caught.value).splitlines()[0] == "models.yaml: there is a manifest already"
    assert (folder / "models.yaml").read_bytes() == before


def test_sources_of_other_formats(shared_data: Path, tmp_path: Path) -> None:
    """A Caffe network is named with its weights; what a TFLite file says of its inputs is as imported."""
    folder = shared_data / "models/caffe/ultraface_rfb_320"
    source, weights = folder / "RFB-320.prototxt", folder / "RFB-320.caffemodel"
    for path in (source, weights):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    init(str(tmp_path / source.name), ["kl720"], directory=tmp_path, weights=tmp_path / weights.name)
    text = (tmp_path / "models.yaml").read_text(encoding="utf-8")
    assert "    source: RFB-320.prototxt\n    weights: RFB-320.caffemodel\n" in text
    assert "shape: [1, 3, 240, 320]" in text
    with pytest.raises(ModelbuildError, match="in a file of their own"):
        init(str(tmp_path / source.name), ["kl720"], directory=tmp_path, file="other.yaml")
    tflite = shared_data / "models/tflite/mlperf_vww_96_float.tflite"
    init(str(tflite), ["kl720"], directory=tmp_path, file="lite.yaml")
    assert "shape: [1, 3, 96, 96]" in (tmp_path / "lite.yaml").read_text(encoding="utf-8")
