"""A source's own quantization reaches the fixed-point model: its very scales where the chip can have them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelbuild import importers
from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.arithmetic.multiplier_shift import FixedSession
from modelbuild.arithmetic.number import quantize_array
from modelbuild.chips.load import load_recipe
from modelbuild.chips.recipe import NumberFormat
from modelbuild.errors import ModelbuildError
from modelbuild.graph import quantized_border
from modelbuild.graph.kept_quantization import Kept, dropped, keep, kept, replace
from modelbuild.graph.model import Graph, Node
from modelbuild.graph.normalise import normalise
from modelbuild.graph.passes import run_passes
from modelbuild.graph.session import FloatSession
from modelbuild.quantize import record as records
from modelbuild.quantize.apply import apply
from modelbuild.quantize.number_format import formats_of
from modelbuild.quantize.settings import Settings
from modelbuild.quantize.source_quantization import notes
from tests.quantize.cases import F, graph_of, make

GENERATOR = np.random.default_rng(9)
CODES = GENERATOR.integers(-127, 128, (4, 3, 3, 3))
SCALES = np.array([0.01, 0.02, 0.005, 0.03], F)
INPUT, OUTPUT = Kept("uint8", (float(F(0.05)),), (100,)), Kept("int8", (0.5,), (-3,))


def convolution(weights: Kept | None = None, codes: Any = CODES, output: Kept = OUTPUT) -> Graph:
    """x -> Conv -> y with the quantization of a file."""
    entry = weights or Kept("int8", tuple(map(float, SCALES)), (0,) * 4, 0)
    column, zero = np.array(entry.scale, F), np.array(entry.zero_point)
    if entry.axis is not None:
        column, zero = column.reshape(4, 1, 1, 1), zero.reshape(4, 1, 1, 1)
    weight = (codes - zero).astype(F) * column
    bias = GENERATOR.integers(-900, 900, 4)
    scale = F(0.05) * column.reshape(-1)
    constants = {"w": weight, "b": (bias * scale).astype(F)}
    graph = graph_of([Node("Conv", "conv", ["x", "w", "b"], ["y"])], {"x": (1, 3, 6, 6)}, ["y"], constants)
    keep(graph, {"x": INPUT, "y": output, "w": entry})
    return graph


def weights_of(fixed: FixedModel) -> np.ndarray[Any, Any]:
    return np.asarray(fixed.constants[fixed.operators[0].constants["weight"]])


def test_a_chip_with_zero_points_takes_scales_and_codes_as_they_are() -> None:
    made = make(convolution(), "modalix")
    lines = made.record.by_name()
    assert (lines["x"].scale, lines["x"].zero_point, lines["x"].method) == (INPUT.scale[0], -28, "source")
    assert (lines["y"].scale, lines["y"].zero_point, lines["y"].method) == (0.5, -3, "source")
    assert (lines["w"].scale, lines["w"].method) == (None, "source")
    assert np.array_equal(weights_of(made.fixed), CODES)
    tensor = made.fixed.tensors["x"]
    assert (tensor.bits, tensor.signed, tensor.scale, tensor.zero_point) == (8, True, INPUT.scale[0], -28)


def test_the_record_says_so_in_its_text() -> None:
    text = records.to_text(make(convolution(), "modalix").record)
    columns = {line.split()[-1]: line.split() for line in text.splitlines() if " source " in line}
    assert set(columns) == {"x", "y", "w"}
    assert columns["x"][1:4] == ["int8", repr(INPUT.scale[0]), "-28"]
    assert records.to_text(records.from_text(text)) == text


@pytest.mark.parametrize("chip", ["kl720", "kl520"])
def test_a_chip_without_zero_points_takes_the_range(chip: str) -> None:
    made = make(convolution(), chip)
    line = made.record.by_name()["x"]
    low, high = INPUT.range()
    assert line.method == "source" and line.zero_point == 0 and line.scale is not None
    assert line.scale * 127 >= high * (1 - 1e-7) and -line.scale * 128 <= low
    if chip == "kl720":
        assert line.scale == pytest.approx(high / 127, rel=1e-6)
        assert np.array_equal(weights_of(made.fixed), CODES)
    else:  # powers of two
        assert np.log2(line.scale) % 1 == 0
        assert made.record.by_name()["w"].method == "observed"


def test_a_wider_format_takes_the_range() -> None:
    made = make(convolution(), "modalix", {"activations": "int16"})
    line = made.record.by_name()["x"]
    assert (line.bits, line.method) == (16, "source")
    assert line.scale == pytest.approx(INPUT.scale[0] * 255 / 65535)


def test_range_settings_leave_kept_tensors_alone() -> None:
    graph = convolution()
    graph.nodes.append(Node("Relu", "act", ["y"], ["z"]))
    graph.outputs = ["y", "z"]
    graph.shapes["z"], graph.dtypes["z"] = graph.shapes["y"], np.dtype(F)
    lines = make(graph, "modalix", {"range": {"method": "percentile"}}).record.by_name()
    assert lines["y"].method == "source" and lines["y"].scale == 0.5
    assert lines["z"].method == "headroom"  # an output that the source does not quantize


def test_weights_out_of_reach_are_quantized_again_and_it_is_said() -> None:
    entry = Kept("uint8", (float(F(0.02)),), (200,))
    codes = GENERATOR.integers(1, 256, (4, 3, 3, 3))
    graph = convolution(entry, codes)
    made = make(graph, "modalix")
    assert made.record.by_name()["w"].method == "observed"
    recipe = load_recipe("modalix")
    said = notes(kept(graph), graph, formats_of(recipe.number_format, Settings()), made.record)
    assert said == ["the weights `w` are quantized again: the chip's cannot be as they are"]
    said = notes(kept(graph), graph, formats_of(load_recipe("kl720").number_format, Settings()), made.record)
    assert said[0].startswith(
        "2 tensors keep the source's range, but not its codes: this chip's are int8 with"
    )


def test_weights_without_scales_of_the_source_are_told() -> None:
    graph = convolution()
    dropped(graph, "w")
    formats = formats_of(load_recipe("modalix").number_format, Settings())
    said = notes(kept(graph), graph, formats, make(graph, "modalix").record)
    assert said[0].startswith("the weights `w` are quantized here: the source has no scales for them")


def test_codes_with_a_zero_point_stay_where_the_chip_can_hold_them() -> None:
    entry = Kept("uint8", (float(F(0.02)),), (128,))
    codes = GENERATOR.integers(0, 256, (4, 3, 3, 3))
    codes.flat[0] = 0
    made = make(convolution(entry, codes), "modalix")
    line = made.record.by_name()["w"]
    assert (line.method, line.scale) == ("source", entry.scale[0])
    assert np.array_equal(weights_of(made.fixed), codes - 128)


def test_weights_that_a_pass_has_changed_are_quantized_again() -> None:
    graph = convolution()
    graph.constants["w"] = graph.constants["w"] * F(1.234)  # type: ignore[operator]
    assert make(graph, "modalix").record.by_name()["w"].method == "observed"


def test_a_chip_without_channel_scales_quantizes_again() -> None:
    recipe = load_recipe("modalix")
    form = NumberFormat(**{**recipe.number_format.model_dump(), "per_channel_weights": False})
    made = make(convolution(), recipe.model_copy(update={"number_format": form}))
    assert made.record.by_name()["w"].method == "observed"


def test_a_record_of_source_weights_needs_such_a_source() -> None:
    made = make(convolution(), "modalix")
    graph = convolution()
    replace(graph, {})
    with pytest.raises(ModelbuildError, match="this model's source does not quantize them"):
        apply(graph, {}, made.record, load_recipe("modalix"))


def test_natural_ranges_and_concats_give_way_to_the_source() -> None:
    nodes = [Node("Sigmoid", "s", ["x"], ["a"]), Node("Sigmoid", "t", ["x"], ["b"])]
    nodes.append(Node("Concat", "c", ["a", "b"], ["y"], {"axis": 1}))
    graph = graph_of(nodes, {"x": (1, 2, 4, 4)}, ["y"])
    keep(graph, {"a": Kept("int8", (1 / 256,), (-128,)), "y": Kept("int8", (0.01,), (-100,))})
    lines = make(graph, "modalix").record.by_name()
    assert (lines["a"].scale, lines["a"].zero_point) == (1 / 256, -128)
    assert (lines["b"].scale, lines["b"].method) == (0.01, "shared")
    assert (lines["y"].scale, lines["y"].zero_point) == (0.01, -100)


@pytest.mark.parametrize("top", [255 / 256, 0.3, 600.0])
@pytest.mark.parametrize(("chip", "bits"), [("modalix", 16), ("kl720", 16), ("modalix", 8), ("kl520", 8)])
def test_a_softmax_takes_any_range_of_the_source(chip: str, bits: int, top: float) -> None:
    graph = graph_of([Node("Softmax", "s", ["x"], ["y"], {"axis": 1})], {"x": (1, 5)}, ["y"])
    keep(graph, {"y": Kept("int8", (top / 255,), (-128,))})
    made = make(graph, chip, {"activations": f"int{bits}"})
    step = made.record.by_name()["y"].scale
    assert step is not None
    session = FixedSession(made.fixed)
    for sample in made.samples:
        y = made.fixed.tensors["y"]
        wanted = np.minimum(FloatSession(graph).run(sample)["y"], step * (y.high - y.zero_point))
        given = {"x": quantize_array(sample["x"], made.fixed.tensors["x"])}
        codes = session.run(given)["y"].astype(float) - y.zero_point
        assert np.abs(codes * step - wanted).max() <= 2 * max(step, 2**-bits) + 0.02 * (bits == 8)


def test_tensors_of_one_scale_take_the_first_entry() -> None:
    nodes = [Node("Relu", "r", ["x"], ["a"]), Node("MaxPool", "m", ["a"], ["y"], {"kernel_shape": [2, 2]})]
    graph = graph_of(nodes, {"x": (1, 2, 4, 4)}, ["y"])
    keep(graph, {"y": Kept("int8", (0.25,), (-128,))})
    lines = make(graph, "modalix").record.by_name()
    assert (
        (lines["a"].scale, lines["a"].zero_point) == (0.25, -128) == (lines["y"].scale, lines["y"].zero_point)
    )


@pytest.mark.parametrize("op", ["MatMul", "Gemm"])
def test_matrices_keep_their_codes_through_the_passes(op: str) -> None:
    codes = GENERATOR.integers(-90, 91, (6, 4))  # none at the end: choosing a scale would find another one
    scales = tuple(map(float, SCALES))
    graph = graph_of(
        [Node(op, "m", ["x", "w"], ["y"])], {"x": (1, 6)}, ["y"], {"w": codes.astype(F) * SCALES}
    )
    keep(graph, {"x": INPUT, "y": OUTPUT, "w": Kept("int8", scales, (0,) * 4, 1)})
    clean, _ = normalise(graph)
    lowered, _ = run_passes(clean, load_recipe("kl720").passes)
    for form in (clean, lowered):
        made = make(form, "modalix")
        weight = next(line for line in made.record.tensors if line.kind == "weight")
        (found,) = (op for op in made.fixed.operators if "weight" in op.constants)
        assert weight.method == "source"
        assert np.array_equal(made.fixed.constants[found.constants["weight"]].reshape(4, 6), codes.T)


def ported(chip: str) -> tuple[Graph, Any]:
    graph = convolution()
    quantized_border.dequantize_input(graph, "x", INPUT)
    quantized_border.quantize_output(graph, "y", OUTPUT)
    samples = [{"x": GENERATOR.integers(0, 256, (1, 3, 6, 6)).astype(np.uint8)} for _ in range(3)]
    return graph, make(graph, chip, samples=samples)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"inputs": {"x": "int16"}}, "inputs: 'x' has the format of the source's codes"),
        ({"outputs": {"y": "int16"}}, "outputs: 'y' has the format of the source's codes"),
        ({"ranges": {"x": [-1, 1]}}, "ranges: 'x' has the range of the source's codes"),
    ],
)
def test_what_could_have_no_effect_on_ports_of_codes_is_refused(given: dict[str, Any], text: str) -> None:
    graph, made = ported("kl720")
    with pytest.raises(ModelbuildError, match=text) as caught:
        make(graph, "kl720", given, made.samples)
    assert caught.value.exit_code == 2
    assert make(graph, "kl720", {"inputs": "int16"}, made.samples).record.by_name()["x"].type == "uint8"


@pytest.mark.parametrize("chip", ["modalix", "kl720", "kl520"])
def test_ports_of_codes_stay_ports_of_codes(chip: str) -> None:
    graph, made = ported(chip)
    ports = [made.fixed.tensors[name] for name in ("x", "y")]
    assert [(p.signed, p.scale, p.zero_point) for p in ports] == [(False, 1.0, 0), (True, 1.0, 0)]
    sample = made.samples[0]
    expected = FloatSession(graph).run(sample)["y"].astype(int)
    found = FixedSession(made.fixed).run(sample)["y"].astype(int)
    assert np.abs(found - expected).max() <= {"modalix": 1, "kl720": 3, "kl520": 12}[chip]


def test_dequantizing_a_port_is_exact_where_the_codes_are_the_chips() -> None:
    _, made = ported("modalix")
    first = made.fixed.operators[0]
    assert (first.kind, first.parameters["multiplier"], first.parameters["shift"]) == ("rescale", 1, 0)
    tensors = FixedSession(made.fixed).run(made.samples[0], "all")
    assert np.array_equal(tensors["x_dequantized"].astype(int), made.samples[0]["x"].astype(int) - 128)


def test_the_scales_of_a_real_file_are_those_of_the_record(shared_data: Path) -> None:
    source = importers.load(shared_data / "models/onnx/tf2_mobilenet_v2_int8_qdq.onnx")
    graph, _ = normalise(source)
    picture = GENERATOR.integers(0, 256, (1, 224, 224, 3)).astype(np.uint8)
    lines = make(graph, "modalix", samples=[{"input": picture}]).record.by_name()
    entries = kept(graph)
    checked = 0
    for name, line in lines.items():
        if name in entries and line.kind != "weight":
            entry = entries[name]
            shift = 128 if entry.dtype == "uint8" else 0
            assert (line.scale, line.zero_point) == (entry.scale[0], entry.zero_point[0] - shift)
            checked += 1
    assert checked > 60 and {line.method for line in lines.values()} == {"source", "shared"}
