"""Functions of 16 bits come within half a step and little more, whatever the range."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from modelbuild.arithmetic.fixed_model import QuantizedTensor
from modelbuild.arithmetic.multiplier_shift import run
from modelbuild.chips.load import load_recipe
from modelbuild.graph.normalise import normalise
from modelbuild.graph.passes import run_passes
from modelbuild.importers import onnx as importer
from modelbuild.quantize import tables
from modelbuild.quantize.apply import apply
from modelbuild.quantize.curves import Curve, curve
from modelbuild.quantize.observe import observe
from modelbuild.quantize.quantize import quantize
from modelbuild.quantize.settings import Settings
from modelbuild.quantize.tables import Function
from modelbuild.quantize.verify import verify
from tests.arithmetic.dice import one
from tests.conftest import REPOSITORY
from tests.hypotheses import examples

Real = np.ndarray
Reference = Callable[[Real], Real]


def _sigmoid(x: Real) -> Real:
    return 1 / (1 + np.exp(-x))


SMOOTH: dict[str, tuple[Function, Reference]] = {
    "sigmoid": (tables.sigmoid, _sigmoid),
    "silu": (tables.gated(tables.sigmoid), lambda x: x * _sigmoid(x)),
    "tanh": (tables.tanh, np.tanh),
    "gelu_tanh": (
        tables.gelu_tanh,
        lambda x: x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))) / 2,
    ),
    "softplus": (tables.softplus, lambda x: np.logaddexp(0, x)),
    "elu": (tables.elu(Decimal(1)), lambda x: np.where(x > 0, x, np.expm1(x))),
    "leaky": (tables.leaky(Decimal("0.1")), lambda x: np.where(x > 0, x, 0.1 * x)),
}


def all_integers(x: QuantizedTensor) -> np.ndarray:
    return np.arange(x.low, x.high + 1).astype(x.dtype)


def made(function: Function, x: QuantizedTensor, y: QuantizedTensor) -> tuple[Curve, np.ndarray]:
    """The curve, and its integers for all of x."""
    found = curve(function, x, y)
    p = {"start": found.start, "segment_bits": found.bits, "output_zero": y.zero_point}
    rows = {"value": found.value, "slope": found.slope, "bend": found.bend}
    model = one("curve", [x, y], {**p, "low": y.low, "high": y.high}, rows)
    return found, run(model, {"x": all_integers(x)})["y"]


def tensor(name: str, scale: float, zero: int = 0, bits: int = 16) -> QuantizedTensor:
    return QuantizedTensor(name, (1 << 16,), bits, True, scale, zero)


@pytest.mark.parametrize("name", sorted(SMOOTH))
@settings(max_examples=4, deadline=None)
@given(
    reach=st.floats(0.01, 30.0),
    zero=st.integers(-32768, 32767) | st.just(0),
    bits=st.sampled_from([8, 16]),
    room=st.floats(0.5, 4.0),
)
def test_within_half_a_step_and_a_tenth(name: str, reach: float, zero: int, bits: int, room: float) -> None:
    function, reference = SMOOTH[name]
    x = tensor("x", 2 * reach / 65535, zero)
    exact = reference((all_integers(x).astype(np.float64) - zero) * x.scale)
    y = tensor("y", room * float(np.abs(exact).max()) / (1 << (bits - 1)), 0, bits)
    _, found = made(function, x, y)
    error = found - np.clip(exact / y.scale, y.low, y.high)
    assert np.abs(error).max() < 0.6 + (name == "tanh") * 0.1


@pytest.mark.parametrize(
    ("name", "reach", "segments"),
    [("sigmoid", 16, 256), ("silu", 16, 256), ("silu", 60, 512), ("tanh", 30, 1024), ("leaky", 16, 4)],
)
def test_as_few_segments_as_do(name: str, reach: float, segments: int) -> None:
    function, reference = SMOOTH[name]
    x = tensor("x", reach / 32768)
    y = tensor("y", float(np.abs(reference(np.array([-reach, reach]))).max()) / 32767)
    found, integers = made(function, x, y)
    assert len(found.value) == segments
    exact = reference(all_integers(x) * x.scale) / y.scale
    assert np.abs(integers - exact).max() < 0.65
    aside, _ = made(function, tensor("x", x.scale, 1234), y)
    assert len(aside.value) == segments + 1
    assert (1234 - aside.start) % (1 << aside.bits) == 0  # a segment begins at the zero point


@examples(20)
@given(reach=st.floats(0.1, 200.0), zero=st.integers(-32768, 32767), room=st.floats(0.2, 4.0))
def test_constants_are_those_of_the_page(reach: float, zero: int, room: float) -> None:
    x, y = tensor("x", reach / 32768, zero), tensor("y", room * reach / 32768)
    function = tables.gated(tables.sigmoid)
    found = curve(function, x, y)
    size = 1 << found.bits
    for i in range(0, len(found.value), max(1, len(found.value) // 5)):
        first = found.start + i * size - zero
        ends = [function(Decimal(x.scale) * (first + d)) / Decimal(y.scale) for d in (0, size // 2, size)]
        low, middle, high = (min(max(end, Decimal(-65536)), Decimal(65536)) for end in ends)
        assert found.value[i] == round(4096 * low)
        assert found.slope[i] == round(4096 * (4 * middle - 3 * low - high))
        assert found.bend[i] == round(4096 * (2 * low - 4 * middle + 2 * high))


@pytest.mark.parametrize("reach", [16.0, 30.0, 120.0])
def test_kinks_are_felt_in_their_own_segment(reach: float) -> None:
    """3 and -3 lie within a segment, and between the places that are looked at first."""
    x, y = tensor("x", reach / 32768), tensor("y", reach / 32767)
    found, integers = made(tables.hard_swish, x, y)
    real = all_integers(x) * x.scale
    error = np.abs(integers - np.clip(real * np.clip(real + 3, 0, 6) / 6 / y.scale, y.low, y.high))
    segment = (1 << found.bits) * x.scale
    assert error[np.abs(np.abs(real) - 3) > segment].max() < 0.6
    assert error.max() < 4


def test_poles_and_far_ends_do_not_break() -> None:
    far, y = tensor("x", 1e6), tensor("y", 0.001)
    _, found = made(tables.exp, far, y)
    assert found[[0, -1]].tolist() == [0, 32767]
    _, found = made(tables.log, tensor("x", 0.001, 5), y)
    assert found[0] == -32768 and found[-1] == pytest.approx(math.log(32.762) / 0.001, abs=1)
    _, found = made(tables.reciprocal, tensor("x", 0.001), y)
    assert found[-1] == pytest.approx(1 / 32.767 / 0.001, abs=1) and found.max() == 32767


def test_an_output_of_8_bits_takes_few_segments() -> None:
    x = tensor("x", 16 / 32768)
    narrow, found = made(tables.sigmoid, x, tensor("y", 1 / 127, 0, 8))
    assert len(narrow.value) == 64
    assert found.dtype == np.int8 and found[[0, 32768, -1]].tolist() == [0, 64, 127]


@settings(max_examples=10, deadline=None)
@given(scale=st.floats(1e-7, 10.0))
def test_exponentials_of_16_bits_are_products(scale: float) -> None:
    factors = tables.softmax_factors(scale).astype(np.float64)
    products = np.multiply.outer(factors[:256], factors[256:]).reshape(-1) / 2.0**30
    exact = 2.0**30 * np.exp(-np.arange(1 << 16) * scale)
    assert np.abs(products - exact).max() < 2
    assert factors[0] == factors[256] == 2.0**30


def snr_in_16_bits(model: Path, chip: str, pictures: list[Path], load: Callable[[Path], Real]) -> float:
    """Of a whole network on the last third of the pictures; ranges are from the others."""
    recipe = load_recipe(chip)
    graph, _ = normalise(importer.load(model, {}))
    graph, _ = run_passes(graph, recipe.passes)
    (name,) = graph.inputs
    cut = len(pictures) * 2 // 3

    def samples(part: slice) -> Iterator[dict[str, Real]]:
        return ({name: load(path)} for path in pictures[part])

    seen = observe(graph, list(samples(slice(0, cut))))
    wide = Settings.read({"activations": "int16", "weights": "int16"})
    fixed = apply(graph, {}, quantize(graph, seen, wide, recipe.number_format), recipe)
    return float(verify(fixed, graph, samples(slice(cut, None)))["outputs"][0]["snr_db"])


def test_a_network_of_silus(shared_data: Path) -> None:
    """9 dB with tables of 256 entries; one scale for all channels behind its first layer is what is left."""

    def load(path: Path) -> Real:
        pixels = np.asarray(Image.open(path).convert("RGB").resize((416, 416)), np.float32)
        return np.ascontiguousarray(pixels[..., ::-1].transpose(2, 0, 1)[None])

    pictures = sorted((shared_data / "images/calib").glob("*.jpg"))[:6]
    model = shared_data / "models/onnx/yolox_nano.onnx"
    assert snr_in_16_bits(model, "modalix", pictures, load) >= 21


def test_a_network_that_ends_in_a_softmax() -> None:
    """58 dB with a table of 256 entries."""
    digits = REPOSITORY / "examples/digits"

    def load(path: Path) -> Real:
        pixels = np.asarray(Image.open(path).convert("L").resize((16, 16)), np.float32)
        return np.ascontiguousarray((pixels / 127.5 - 1)[None, None])

    pictures = sorted((digits / "data/calibration").glob("*.png"))
    assert snr_in_16_bits(digits / "models/digits.onnx", "kl720", pictures, load) >= 75
