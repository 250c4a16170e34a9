"""Biases are corrected by the mean error that the weights' rounding really has, whatever the operator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from modelbuild.arithmetic.multiplier_shift import FixedSession
from modelbuild.arithmetic.number import dequantize_array, quantize_array
from modelbuild.graph.model import Graph
from modelbuild.graph.session import FloatSession
from modelbuild.quantize.observe import observe
from modelbuild.quantize.predict import weight_noise
from modelbuild.quantize.weighted import weighted
from tests.quantize.cases import make, one_node

PICTURE, WIDE = (1, 4, 8, 7), {"activations": "int16", "weights": "int8", "equalize": False}


def weights(*shape: int) -> np.ndarray[Any, Any]:
    """Most above 0 and few much larger: rounding then has a mean that is not 0."""
    found = np.random.default_rng(3).uniform(0.1, 1.0, shape).astype(np.float32)
    found.reshape(-1)[:: found.size // 3] *= 4
    return found


GRAPHS: dict[str, Callable[[], Graph]] = {
    "conv": lambda: one_node("Conv", PICTURE, {}, w=weights(6, 4, 3, 3), b=weights(6)),
    "conv_padded": lambda: one_node("Conv", PICTURE, {"pads": [2, 2, 2, 2]}, w=weights(6, 4, 5, 5)),
    "conv_grouped_strided_dilated": lambda: one_node(
        "Conv",
        PICTURE,
        {"group": 2, "strides": [2, 1], "dilations": [2, 1], "pads": [1, 0, 2, 1]},
        w=weights(6, 2, 3, 3),
    ),
    "conv_same": lambda: one_node(
        "Conv", PICTURE, {"auto_pad": "SAME_LOWER", "strides": [2, 2]}, w=weights(6, 4, 3, 3)
    ),
    "depthwise": lambda: one_node("Conv", PICTURE, {"group": 4, "pads": [1] * 4}, w=weights(4, 1, 3, 3)),
    "conv_one_axis": lambda: one_node("Conv", (1, 4, 12), {"pads": [2, 2]}, w=weights(5, 4, 5)),
    "conv_transpose": lambda: one_node("ConvTranspose", PICTURE, {"strides": [4, 4]}, w=weights(4, 8, 4, 4)),
    "conv_transpose_odd": lambda: one_node(
        "ConvTranspose",
        PICTURE,
        {"strides": [2, 3], "pads": [1, 0, 0, 2], "output_padding": [1, 2], "group": 2},
        w=weights(4, 3, 5, 4),
    ),
    "gemm": lambda: one_node("Gemm", (5, 20), {"transB": 1}, w=weights(7, 20), b=weights(7)),
    "matmul_2": lambda: one_node("MatMul", (5, 16), w=weights(16, 7)),
    "matmul_3": lambda: one_node("MatMul", (1, 16, 16), w=weights(16, 7)),
    "matmul_4": lambda: one_node("MatMul", (1, 16, 3, 16), w=weights(16, 7)),
}


def samples(graph: Graph, noise: float = 0.3) -> list[dict[str, Any]]:
    """Every channel (axis 1) has a mean of its own."""
    rng = np.random.default_rng(0)
    shape = graph.shapes["x"]
    means = rng.uniform(-3, 3, shape[1]).reshape(1, -1, *([1] * (len(shape) - 2)))
    return [{"x": (means + noise * rng.standard_normal(shape)).astype(np.float32)} for _ in range(12)]


def outputs(graph: Graph, sample: dict[str, Any]) -> np.ndarray[Any, Any]:
    return FloatSession(graph).run(sample)["y"].astype(np.float64)


def mean_errors(graph: Graph, given: list[dict[str, Any]], correction: str) -> tuple[Any, float]:
    """(of each channel of the output, the step of the output)."""
    fixed = make(graph, "kl720", {**WIDE, "bias_correction": correction}, given).fixed
    x, y, axis = fixed.tensors["x"], fixed.tensors["y"], -1 if graph.nodes[0].op in ("Gemm", "MatMul") else 1
    total: Any = 0.0
    for sample in given:
        found = FixedSession(fixed).run({"x": quantize_array(sample["x"], x)}, "all")["y"]
        error = dequantize_array(found, y) - outputs(graph, sample)
        total = total + np.moveaxis(error, axis, -1).reshape(-1, error.shape[axis]).mean(axis=0)
    return np.abs(total / len(given)), y.scale


@pytest.mark.parametrize("name", GRAPHS)
def test_no_channel_s_mean_error_is_raised(name: str) -> None:
    graph = GRAPHS[name]()
    given = samples(graph)
    before, step = mean_errors(graph, given, "none")
    after, _ = mean_errors(graph, given, "parallel")
    assert (after <= before + 2 * step).all()
    if not name.startswith("matmul_") or name == "matmul_2":
        assert after.max() < 0.5 * before.max()  # it is no trifle that is corrected


@pytest.mark.parametrize("name", [name for name in GRAPHS if name not in ("matmul_3", "matmul_4")])
def test_of_even_pictures_nothing_is_left(name: str) -> None:
    """Padding and the zeros between the values of a ConvTranspose count as often as they are met."""
    graph = GRAPHS[name]()
    given = samples(graph, 0.0)
    after, step = mean_errors(graph, given, "parallel")
    assert after.max() < 2 * step


@pytest.mark.parametrize("name", ["conv_padded", "conv_transpose", "conv_transpose_odd", "gemm"])
def test_noise_of_weights_is_that_of_rounding_them(name: str) -> None:
    graph = GRAPHS[name]()
    rng = np.random.default_rng(1)
    given = [{"x": rng.standard_normal(graph.shapes["x"]).astype(np.float32)} for _ in range(32)]
    found = weighted(graph, graph.nodes[0])
    assert found is not None
    change = 0.01 * rng.standard_normal(found.weight.shape)
    predicted = weight_noise(observe(graph, given), found, change, "x", "y")
    stored = np.flip(change, (2, 3)) if graph.nodes[0].op == "ConvTranspose" else change
    groups = graph.nodes[0].int("group", 1)
    if graph.nodes[0].op == "ConvTranspose":
        parts = stored.reshape(groups, -1, *stored.shape[1:]).swapaxes(1, 2)
        stored = parts.reshape(graph.constants["w"].shape)
    other = GRAPHS[name]()
    other.constants["w"] = (graph.constants["w"].astype(np.float64) + stored).astype(np.float32)
    pairs = [(outputs(graph, sample), outputs(other, sample)) for sample in given]
    noise = sum(np.square(a - b).sum() for a, b in pairs) / sum(np.square(a).sum() for a, _ in pairs)
    assert predicted == pytest.approx(noise, rel=0.15)


@pytest.mark.parametrize("shape", [(1, 16, 16), (1, 12, 16)])
def test_rows_of_more_axes_are_left_alone_by_sequential_correction_too(shape: tuple[int, ...]) -> None:
    """The means that were observed are those of axis 1; what is multiplied is on the last."""
    from modelbuild.chips.load import load_recipe
    from modelbuild.quantize.number_format import formats_of
    from modelbuild.quantize.refine import Wanted, refine
    from modelbuild.quantize.settings import Settings

    graph = one_node("MatMul", shape, w=weights(16, 7))
    settings = Settings.read({"bias_correction": "sequential"})
    made = make(graph, "modalix", {}, samples(graph))
    formats = formats_of(load_recipe("modalix").number_format, settings)
    found = refine(
        graph, made.record, formats, Wanted.by(settings, by_size=False), made.observations, iter(made.samples)
    )
    assert "bias" not in found.corrections
