"""Whole networks: their forms, phases, wires, weights and edits, and one clear message for all else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelbuild import importers
from modelbuild.errors import ModelbuildError
from modelbuild.graph.normalise import normalise
from modelbuild.importers.source import source_of
from tests.importers import refused
from tests.importers.caffe.judge import agree, imported, opencv, ours
from tests.importers.caffe.writer import caffemodel, layer, network, numbers, saved
from tests.importers.refused import matches

K, B, X = numbers(3, 4, 3, 3), numbers(3), numbers(1, 4, 6, 8, seed=5)
CONV = layer("Convolution", "num_output: 3 kernel_size: 3")


def message(folder: Path, prototxt: str, model: bytes = b"", **arguments: Any) -> str:
    text, weights = saved(folder, prototxt, model)
    return refused.message(text, weights=weights, **arguments).replace(str(folder), "")


@pytest.mark.parametrize("form", ["new", "old", "single", "double"])
@pytest.mark.parametrize("layers", ["layer", "layers"])
def test_every_form_of_weights_gives_the_same(tmp_path: Path, form: str, layers: str) -> None:
    found = imported(saved(tmp_path, network(CONV), caffemodel({"out": [K, B]}, form, layers)), data=X)
    wanted = imported(saved(tmp_path, network(CONV), caffemodel({"out": [K, B]})), data=X)
    np.testing.assert_array_equal(found["out"], wanted["out"])


OLD = """
input: "data" input_dim: 1 input_dim: 4 input_dim: 6 input_dim: 8
layers { name: "out" type: CONVOLUTION bottom: "data" top: "out" blobs_lr: 1
         convolution_param { num_output: 3 kernel_size: 3 } }
layers { name: "act" type: RELU bottom: "out" top: "out" }
layers { name: "end" type: INNER_PRODUCT bottom: "out" top: "end"
         inner_product_param { num_output: 2 bias_term: false } }
"""


def test_networks_of_the_older_form_are_read_as_opencv_does(tmp_path: Path) -> None:
    model = caffemodel({"out": [K, B], "end": [numbers(2, 72)]}, "old", "layers")
    files = saved(tmp_path, OLD, model)
    agree(imported(files, data=X)["end"], opencv(files, {"data": X}, ["end"])["end"])


@pytest.mark.parametrize(
    "text",
    [
        'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: [1, 4, 6, 8] } } }',
        "input: 'data' input_shape < dim: 1; dim: 0x4, dim: 06 dim: 8 > # the size",
        'input: "da" "ta"; input_dim: 1 input_dim: 4 input_dim: 6 input_dim: 8',
    ],
)
def test_every_form_of_inputs_is_read(tmp_path: Path, text: str) -> None:
    graph = importers.load(
        saved(tmp_path, f"{text}\n{layer('TanH')}")[0], weights=tmp_path / "net.caffemodel"
    )
    assert graph.inputs == ["data"]
    assert graph.shapes["data"] == (1, 4, 6, 8)
    assert graph.dtypes["data"] == np.float32


def test_what_is_trained_only_is_left_out(tmp_path: Path) -> None:
    body = (
        'layer { name: "d" type: "Data" top: "data" top: "label" include { phase: TRAIN } }'
        'layer { name: "a" type: "TanH" bottom: "data" top: "a" exclude { phase: TEST } }'
        'layer { name: "s" type: "TanH" bottom: "data" top: "s" include { stage: "extra" } }'
        'layer { name: "l" type: "TanH" bottom: "data" top: "l" include { phase: TEST min_level: 1 } }'
        'layer { name: "b" type: "Sigmoid" bottom: "data" top: "b" include { phase: TEST not_stage: "x" } }'
    )
    graph = importers.load(saved(tmp_path, network(body))[0], weights=tmp_path / "net.caffemodel")
    assert [(node.op, node.name) for node in graph.nodes] == [("Sigmoid", "b")]


def test_blobs_overwritten_in_place_end_with_their_own_name(tmp_path: Path) -> None:
    body = CONV + (
        'layer { name: "r1" type: "ReLU" bottom: "out" top: "out" }'
        'layer { name: "p" type: "Power" bottom: "out" top: "out" power_param { shift: 1 } }'
        'layer { name: "q" type: "Power" bottom: "data" top: "data" power_param { scale: 2 } }'
    )
    files = saved(tmp_path, network(body), caffemodel({"out": [K, B]}))
    graph = importers.load(files[0], weights=files[1])
    assert graph.inputs == ["data"]
    assert graph.outputs == ["out", "data_after_q"]
    assert [node.name for node in graph.nodes if node.name in ("out", "r1", "p", "q")] == [
        "out",
        "r1",
        "p",
        "q",
    ]
    assert {"out_before_r1", "out_before_p"} <= set(graph.shapes)
    found = ours(graph, data=X)
    assert float(found["out"].min()) >= 1
    np.testing.assert_array_equal(found["data_after_q"], 2 * X)
    cut = importers.load(files[0], {}, [{"cut": {"outputs": ["out_before_r1"]}}], files[1])
    np.testing.assert_allclose(np.maximum(ours(cut, data=X)["out_before_r1"], 0) + 1, found["out"], rtol=1e-6)


def test_inputs_take_any_size_of_their_rank(tmp_path: Path) -> None:
    files = saved(tmp_path, network(CONV), caffemodel({"out": [K, B]}))
    graph = importers.load(files[0], {"data": (2, 4, 10, 5)}, weights=files[1])
    assert graph.shapes["out"] == (2, 3, 8, 3)
    assert source_of(graph)["notes"] == [
        "the input data has the shape [2, 4, 10, 5], not the prototxt's [1, 4, 6, 8]"
    ]
    text = network(CONV)
    model = caffemodel({"out": [K, B]})
    assert "inputs.data: the shape [4] given" in message(tmp_path, text, model, input_shapes={"data": (4,)})
    assert "inputs.dada: the model has no input `dada`" in message(
        tmp_path, text, model, input_shapes={"dada": (1, 4, 6, 8)}
    )


SSD = (
    CONV
    + layer("PriorBox", "min_size: 3", ["out", "data"], "boxes")
    + layer("Permute", "order: 0 order: 2 order: 3 order: 1", ["out"], "moved")
    + layer("Flatten", "", ["moved"], "flat")
    + layer("DetectionOutput", "num_classes: 2", ["flat", "flat", "boxes"], "found")
)


def test_a_tail_that_is_not_supported_is_refused_or_cut_off(tmp_path: Path) -> None:
    model = caffemodel({"out": [K, B]})
    error = message(tmp_path, network(SSD), model)
    assert matches(r"net.prototxt:\d+:\d+: DetectionOutput `found` is not supported why: the number", error)
    assert "edit: [{cut: {outputs: [...]}}]" in error
    text, weights = saved(tmp_path, network(SSD), model)
    graph = importers.load(text, {}, [{"cut": {"outputs": ["flat", "boxes"]}}], weights)
    assert graph.outputs == ["flat", "boxes"]
    assert not source_of(graph)["comparable"]
    found = ours(graph, data=X)
    assert found["boxes"].shape == (1, 2, 96)
    middle = importers.load(
        text, {}, [{"cut": {"inputs": ["moved"], "outputs": ["flat"]}}, {"rename": {"flat": "y"}}], weights
    )
    assert (middle.inputs, middle.outputs) == (["moved"], ["y"])
    assert "did you mean `flat`" in message(
        tmp_path, network(SSD), model, edits=[{"cut": {"outputs": ["flatt"]}}]
    )


def test_weights_are_asked_for(tmp_path: Path) -> None:
    text, weights = saved(tmp_path, network(CONV))
    with pytest.raises(ModelbuildError, match="keeps its weights in a file of their own"):
        importers.load(text)
    weights.unlink()
    assert "there is no such file" in " ".join(_error(text, weights).split())
    assert importers.discover(text) == []


def _error(text: Path, weights: Path) -> str:
    with pytest.raises(ModelbuildError) as caught:
        importers.load(text, weights=weights)
    return str(caught.value)


def proposals() -> tuple[str, bytes]:
    """A network in the style of MTCNN's first: PReLU, a pool that rounds up, two heads, any size."""
    shapes = {"conv1": (10, 3, 3, 3), "conv2": (16, 10, 3, 3), "cls": (2, 16, 1, 1), "box": (4, 16, 1, 1)}
    blobs = {name: [numbers(*shape) * 0.3, numbers(shape[0])] for name, shape in shapes.items()}
    body = layer("Convolution", "num_output: 10 kernel_size: 3", name="conv1")
    body += 'layer { name: "p1" type: "PReLU" bottom: "conv1" top: "conv1" }'
    body += layer("Pooling", "pool: MAX kernel_size: 2 stride: 2", ["conv1"], "pool")
    body += layer("Convolution", "num_output: 16 kernel_size: 3", ["pool"], "conv2")
    body += 'layer { name: "p2" type: "PReLU" bottom: "conv2" top: "conv2" }'
    body += layer("Convolution", "num_output: 2 kernel_size: 1", ["conv2"], "cls")
    body += layer("Convolution", "num_output: 4 kernel_size: 1", ["conv2"], "box")
    body += layer("Softmax", "", ["cls"], "prob")
    blobs |= {"p1": [np.abs(numbers(10))], "p2": [np.abs(numbers(16))]}
    return network(body, (1, 3, 12, 12)), caffemodel(blobs)


def test_a_proposal_network_of_any_size_equals_opencv(tmp_path: Path) -> None:
    files = saved(tmp_path, *proposals())
    for size in ((12, 12), (17, 23)):
        data = numbers(1, 3, *size)
        graph = importers.load(files[0], {"data": data.shape}, weights=files[1])
        assert graph.outputs == ["box", "prob"]
        wanted = opencv(files, {"data": data}, graph.outputs)
        for form in (graph, normalise(graph)[0]):
            for name, found in ours(form, data=data).items():
                agree(found, wanted[name])


def test_lenet_equals_its_reference(shared_data: Path) -> None:
    folder = shared_data / "models/caffe/lenet"
    reference = np.load(shared_data / "refs/caffe_lenet.npz")
    graph = importers.load(
        folder / "deploy.prototxt", {"data": (10, 1, 28, 28)}, weights=folder / "mnist_lenet.caffemodel"
    )
    agree(ours(graph, data=reference["x"])["prob"], reference["y"], 1e-4)


def test_ultraface_equals_its_reference_before_and_after_the_passes(shared_data: Path) -> None:
    folder = shared_data / "models/caffe/ultraface_rfb_320"
    reference = np.load(shared_data / "refs/caffe_ultraface.npz")
    graph = importers.load(folder / "RFB-320.prototxt", weights=folder / "RFB-320.caffemodel")
    assert source_of(graph)["format"] == "caffe"
    for form in (graph, normalise(graph)[0]):
        found = ours(form, **{form.inputs[0]: reference["x"]})
        for name in ("boxes", "scores"):
            agree(found[name], reference[name], 1e-4)
