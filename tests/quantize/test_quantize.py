"""Settings, shared scales, model outputs, corrections, and the accuracy targets on real networks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from modelbuild.chips.load import load_recipe
from modelbuild.errors import ModelbuildError
from modelbuild.graph.check import place
from modelbuild.graph.model import Node
from modelbuild.graph.normalise import normalise
from modelbuild.graph.passes import run_passes
from modelbuild.importers import onnx as importer
from modelbuild.quantize import record as records
from modelbuild.quantize.apply import apply
from modelbuild.quantize.observe import observe
from modelbuild.quantize.quantize import quantize
from modelbuild.quantize.ranges import METHODS
from modelbuild.quantize.settings import Settings
from modelbuild.quantize.verify import verify
from tests.pairs import spread
from tests.quantize.cases import graph_of, make, normal, one_node, samples_of


def chain():
    nodes = [
        Node("Conv", "conv", ["x", "w", "b"], ["a"], {"pads": [1, 1, 1, 1]}),
        Node("Relu", "relu", ["a"], ["r"]),
        Node("MaxPool", "pool", ["r"], ["p"], {"kernel_shape": [2, 2], "strides": [2, 2]}),
        Node("Conv", "last", ["p", "v"], ["y"]),
    ]
    constants = {"w": normal(4, 3, 3, 3), "b": normal(4), "v": normal(2, 4, 1, 1)}
    return graph_of(nodes, {"x": (1, 3, 8, 8)}, ["y"], constants)


def test_lines_of_the_record() -> None:
    record = make(chain(), "kl720", {"equalize": False}).record
    lines = record.by_name()
    assert [line.name for line in record.tensors] == ["x", "r", "p", "y", "w", "v"]
    kinds = [line.kind for line in record.tensors]
    assert kinds == ["input", "activation", "activation", "output", "weight", "weight"]
    assert lines["p"].method == "shared" and lines["p"].scale == lines["r"].scale
    assert lines["y"].method == "headroom" and lines["r"].method == "output_error"
    assert lines["w"].scale is None and lines["w"].low == float(chain().constants["w"].min())
    assert all(20 < lines[name].output_snr_db < 70 for name in ("x", "r", "y", "w", "v"))
    assert 25 < lines["x"].snr_db < 60 and 35 < lines["w"].snr_db < 60
    assert record.samples == 4 and record.method == "output_error"


def test_outputs_are_never_clipped() -> None:
    graph = chain()
    made = make(graph, "modalix", {"range": {"method": "percentile", "percentile": 90}})
    line, seen = made.record.by_name()["y"], made.observations.tensors["y"].histogram
    step = line.scale
    assert line.low <= seen.low + step and line.high >= seen.high - step
    assert line.method == "headroom"
    assert make(graph, "modalix", {"range": {"method": "minmax"}}).record.by_name()["y"].method == "minmax"
    assert made.record.by_name()["r"].high < made.observations.tensors["r"].histogram.high


@pytest.mark.parametrize("method", sorted(METHODS))
@pytest.mark.parametrize("chip", ["kl520", "kl720", "modalix"])
def test_every_method_on_every_scale_form(method: str, chip: str) -> None:
    made = make(chain(), chip, {"range": {"method": method}})
    assert made.record.method == method
    assert records.from_text(records.to_text(made.record)) == made.record
    measured = verify(made.fixed, made.graph, iter(made.samples))
    least = 18 if method == "moving_average" else 22 if chip == "kl520" else 26  # the average clips
    assert measured["outputs"][0]["snr_db"] > least
    if chip == "kl520":
        assert all(np.log2(tensor.scale) % 1 == 0 for tensor in made.fixed.tensors.values())


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"range": {"method": "percentile", "percentile": 0.1}}, "above 50"),
        ({"weights": "int4"}, "not available on this chip"),
    ],
)
def test_wrong_settings(settings: dict[str, Any], text: str) -> None:
    with pytest.raises(ModelbuildError, match=text) as caught:
        make(chain(), "kl720", settings)
    assert caught.value.exit_code == 2


def test_observations_of_another_model_are_refused() -> None:
    made = make(one_node("Relu", (2, 9)), "kl720")
    with pytest.raises(ModelbuildError, match="was not observed"):
        quantize(chain(), made.observations, Settings(), load_recipe("kl720").number_format)


def test_bias_correction_removes_the_mean_error_of_coarse_weights() -> None:
    """Inputs far from zero mean and 4-bit weights: the correction takes out most of the shift."""
    graph = one_node("Conv", (1, 16, 6, 6), w=normal(8, 16, 1, 1), b=normal(8))
    samples = [{"x": np.abs(sample["x"]) + 1} for sample in samples_of(graph, 4)]
    made = make(graph, "kl530", {"weights": "int4"}, samples)
    assert set(made.record.corrections["bias"]) == {"y"}
    plain = replace(made.record, corrections={})
    without = apply(graph, {}, plain, load_recipe("kl530"))
    better, worse = (
        verify(fixed, graph, iter(samples))["outputs"][0]["snr_db"] for fixed in (made.fixed, without)
    )
    assert better > worse + 3


def imagenet(path: Path) -> np.ndarray[Any, Any]:
    pixels = np.asarray(Image.open(path).convert("RGB"), np.float32) / 255
    mean, std = np.array([0.485, 0.456, 0.406], np.float32), np.array([0.229, 0.224, 0.225], np.float32)
    top, left = (pixels.shape[0] - 224) // 2, (pixels.shape[1] - 224) // 2
    cut = ((pixels - mean) / std)[top : top + 224, left : left + 224]
    return np.ascontiguousarray(cut.transpose(2, 0, 1)[None])


def face(path: Path) -> np.ndarray[Any, Any]:
    pixels = np.asarray(Image.open(path).convert("RGB").resize((320, 240)), np.float32)
    return np.ascontiguousarray(((pixels - 127) / 128).transpose(2, 0, 1)[None])


NETWORKS = [
    ("*squeezenet1.1*", imagenet, None, {"kl720": 27, "modalix": 31}),
    ("*ultraface_rfb_320_nopost*", face, "scores", {"kl720": 38, "modalix": 42}),
    ("*mobilenetv2.onnx", imagenet, None, {"kl720": 13, "modalix": 16}),
]


@pytest.mark.parametrize(("network", "chip"), spread(NETWORKS, ["kl720", "modalix"]))
def test_real_networks(shared_data: Path, network: tuple[str, Any, str | None, dict[str, int]], chip: str):
    """Fewer pictures than a user has, to keep the run short; the issue's bounds are 25, 35 and 12 dB."""
    pattern, load, output, least = network
    graph, _ = normalise(importer.load(next((shared_data / "models/onnx").glob(pattern)), {}))
    recipe = load_recipe(chip)
    graph, _ = run_passes(graph, recipe.passes)
    pictures = sorted((shared_data / "images/calib").glob("*.jpg"))
    if load is face:
        pictures = sorted((shared_data / "images/samples").glob("*.jpg")) + pictures
    (name,) = graph.inputs

    def samples(part: slice):
        return ({name: load(path)} for path in pictures[part])

    observations = observe(graph, list(samples(slice(0, 12))))
    record = quantize(graph, observations, Settings(), recipe.number_format)
    fixed = apply(graph, place(graph, recipe).units, record, recipe)
    measured = verify(fixed, graph, samples(slice(2, 6)))
    found = {item["name"]: item["snr_db"] for item in measured["outputs"]}
    assert found[output or fixed.outputs[0]] >= least[chip]


@pytest.mark.parametrize("shape", [(), (1,), (3,), (1, 3), (1, 1), (3, 1), (3, 3)])
def test_a_bias_of_gemm_is_that_of_its_columns(shape: tuple[int, ...]) -> None:
    """Biases of rows are not what a layer adds, also where there are as many rows as columns."""
    bias = 3 * normal(*shape, seed=3) if shape else np.array(0.3, np.float32)
    node = Node("Gemm", "dense", ["x", "w", "b"], ["y"])
    graph = graph_of([node], {"x": (3, 4)}, ["y"], {"w": normal(4, 3), "b": bias})
    if shape[:1] == (3,) and len(shape) == 2:
        with pytest.raises(ModelbuildError, match="the bias of the node 'dense'") as caught:
            make(graph)
        assert caught.value.exit_code == 2
    else:
        made = make(graph)
        assert verify(made.fixed, graph, iter(made.samples))["outputs"][0]["snr_db"] > 35
