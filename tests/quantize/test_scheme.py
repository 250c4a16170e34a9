"""Ranges by name, and nncase's QuantScheme.json."""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelbuild.chips.load import load_recipe
from modelbuild.errors import ModelbuildError
from modelbuild.graph.model import Graph, Node
from modelbuild.quantize import scheme
from modelbuild.quantize.apply import apply
from modelbuild.quantize.observe import observe
from modelbuild.quantize.plan import make_plan
from modelbuild.quantize.quantize import quantize
from modelbuild.quantize.record import Record
from modelbuild.quantize.sensitivity import sensitivity
from modelbuild.quantize.settings import Settings
from modelbuild.quantize.verify import verify
from tests.quantize.cases import graph_of, normal, samples_of

CHIP = load_recipe("modalix").number_format


def chain() -> Graph:
    nodes = [
        Node("Conv", "conv", ["x", "w", "b"], ["a"]),
        Node("Relu", "relu", ["a"], ["r"]),
        Node("MaxPool", "pool", ["r"], ["p"], {"kernel_shape": [2, 2], "strides": [2, 2]}),
        Node("Conv", "last", ["p", "v"], ["y"]),
    ]
    constants = {"w": normal(4, 3, 1, 1), "b": normal(4), "v": normal(2, 4, 1, 1)}
    return graph_of(nodes, {"x": (1, 3, 8, 8)}, ["y"], constants)


def record(settings: Settings, graph: Graph | None = None) -> Record:
    graph = graph or chain()
    samples = samples_of(graph)
    return quantize(graph, observe(graph, samples), settings, CHIP)


def entry(name: str, low: float, high: float, kind: str = "u8") -> dict[str, Any]:
    ranges = [{"Min": low, "Max": high, "IsFull": False}]
    return {"Name": name, "DataType": kind, "DataRange": ranges, "DataRangeMode": "by_tensor"}


def written(path: Path, *outputs: dict[str, Any]) -> Path:
    path = path / "QuantScheme.json"
    path.write_text(json.dumps({"Version": "1.0", "Model": None, "Outputs": outputs}))
    return path


def applied(path: Path, strict: bool = False) -> Settings:
    graph = chain()
    return scheme.applied(Settings(strict=strict), scheme.read(path), graph, make_plan(graph))


def test_a_range_by_name_is_taken_as_it_is_and_shared() -> None:
    lines = record(Settings.read({"ranges": {"r": [0, 25.5]}})).by_name()
    assert (lines["r"].scale, lines["r"].zero_point, lines["r"].method) == (0.1, -128, "given")
    assert (lines["p"].scale, lines["p"].method) == (0.1, "shared")
    assert lines["x"].method == "output_error"


def test_a_range_of_what_does_not_exist_or_has_a_range_of_its_own_is_refused() -> None:
    with pytest.raises(ModelbuildError, match="has no tensor 'rr'") as caught:
        record(Settings.read({"ranges": {"rr": [0, 1]}}))
    assert caught.value.exit_code == 2
    graph = graph_of([Node("Sigmoid", "s", ["x"], ["y"])], {"x": (1, 4)}, ["y"], {})
    with pytest.raises(ModelbuildError, match="has the range of the function"):
        record(Settings.read({"ranges": {"y": [0, 2]}}), graph)


@pytest.mark.parametrize("ends", [[0, 1e38], [0, 1e-20]])
def test_a_range_that_leaves_one_code_for_all_that_was_seen_is_refused(ends: list[float]) -> None:
    with pytest.raises(ModelbuildError, match=r"'x' is given 0 to 1e.*, and holds -") as caught:
        record(Settings.read({"ranges": {"x": ends}}))
    assert (caught.value.exit_code, caught.value.problems[0].where) == (2, "quantize.ranges.x")


@pytest.mark.parametrize(
    ("text", "place", "why"),
    [
        ('{"Version": "1.0",\n "Outputs": [}', ":2:14", "it is no JSON: expecting value"),
        ("[]", "", "no mapping with a list"),
        ('{"Version": "1.0", "Outputs": [3]}', "", "of another kind than the format has"),
        ('{"Version": "1.0"}', "", "'Outputs' is missing"),
    ],
)
def test_what_is_no_scheme_is_told_with_its_place(tmp_path: Path, text: str, place: str, why: str) -> None:
    path = tmp_path / "QuantScheme.json"
    path.write_text(text)
    with pytest.raises(ModelbuildError, match="not a QuantScheme") as caught:
        scheme.read(path)
    (problem,) = caught.value.problems
    assert problem.where == f"{path}{place}" and why in problem.why and "export_scheme" in problem.advice


def test_tensors_that_share_a_scale_have_one_range() -> None:
    with pytest.raises(ModelbuildError, match=r"p is \[0.0, 9.0\], but r is \[0.0, 5.0\]") as caught:
        record(Settings.read({"ranges": {"p": [0, 9], "r": [0, 5]}}))
    assert caught.value.exit_code == 2
    lines = record(Settings.read({"ranges": {"p": [0, 25.5]}})).by_name()
    assert lines["r"].scale == lines["p"].scale == 0.1


@pytest.mark.parametrize("ends", [[1, 1], [2, 1], [1], "ab", [float("nan"), 1]])
def test_what_is_no_range_is_refused(ends: Any) -> None:
    with pytest.raises(ModelbuildError, match=r"ranges\.r: .* is not"):
        Settings.read({"ranges": {"r": ends}})


@pytest.mark.parametrize("ends", [[-1e300, 1e300], [0, 3.5e38], [-(10**400), 0]])
def test_a_range_beyond_all_tensors_is_refused(ends: Any) -> None:
    with pytest.raises(ModelbuildError, match=r"ranges\.r: .* is beyond what a float32 holds") as caught:
        Settings.read({"ranges": {"r": ends}})
    assert caught.value.exit_code == 2 and len(str(caught.value)) < 300


def test_the_widest_range_is_written_as_json(tmp_path: Path) -> None:
    graph, widest = chain(), {"scale": 2.66e36, "low": -3.4e38, "high": 3.4e38}
    made = record(Settings(), graph)
    lines = [replace(line, **widest) if line.name in ("r", "p") else line for line in made.tensors]
    made = replace(made, tensors=tuple(lines))
    json.dumps(made.to_json(), allow_nan=False)
    json.dumps(sensitivity(graph, made).to_json(), allow_nan=False)


def test_a_record_of_another_model_is_no_scheme_of_this_one() -> None:
    made = record(Settings())
    renamed = chain()
    renamed.name = "another"
    with pytest.raises(ModelbuildError, match="the quantization record is for the model"):
        scheme.written(made, renamed, by_channel=True)
    other = replace(made, tensors=tuple(replace(line, name=f"{line.name}_2") for line in made.tensors))
    with pytest.raises(ModelbuildError, match="has no line for"):
        scheme.written(other, chain(), by_channel=True)


def test_a_scheme_gives_ranges_and_types(tmp_path: Path) -> None:
    path = written(tmp_path, entry("r", 0, 12.75), entry("y", -4, 4, "i16"), entry("Const_90", -1, 1, "i8"))
    lines = record(applied(path)).by_name()
    assert (lines["r"].scale, lines["r"].method, lines["r"].type) == (0.05, "given", "int8")
    assert (lines["y"].type, lines["y"].method) == ("int16", "given")
    assert lines["x"].method == "output_error"


def test_weights_have_16_bits_where_the_scheme_says_so(tmp_path: Path) -> None:
    made = record(Settings.read({"weights": "int16"}))
    path = tmp_path / "QuantScheme.json"
    path.write_text(scheme.written(made, chain(), by_channel=True))
    lines = record(applied(path)).by_name()
    assert (lines["w"].type, lines["v"].type, lines["y"].type) == ("int16", "int16", "int8")
    both = applied(
        written(tmp_path, entry("last", -1, 1), entry("y", -4, 4, "i16"), entry("v", -1, 1, "i16"))
    )
    lines = record(both).by_name()
    assert (lines["w"].type, lines["v"].type, lines["y"].type) == ("int8", "int16", "int16")
    graph = chain()
    own = Settings.read({"nodes": {"last": {"weights": "int8"}}})
    whole = tmp_path / "whole.json"
    whole.write_text(scheme.written(made, chain(), by_channel=True))
    kept = scheme.applied(own, scheme.read(whole), graph, make_plan(graph))
    assert record(kept).by_name()["v"].type == "int8" and record(kept).by_name()["w"].type == "int16"
    with pytest.raises(ModelbuildError, match="wants f32 for the weights 'v'"):
        applied(written(tmp_path, entry("v", -1, 1, "f32")))


def test_a_scheme_of_weights_of_4_bits_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "QuantScheme.json"
    of_chip = load_recipe("kl530").number_format
    graph = chain()
    seen = observe(graph, samples_of(graph))
    made = quantize(graph, seen, Settings.read({"weights": "int4"}), of_chip)
    path.write_text(scheme.written(made, graph, by_channel=True))
    again = quantize(graph, seen, applied(path), of_chip)
    assert {line.type for line in again.tensors if line.kind == "weight"} == {"int4"}
    with pytest.raises(ModelbuildError, match="wants i4 for 'r'"):
        applied(written(tmp_path, entry("r", 0, 1, "i4")))


def test_what_the_settings_say_themselves_wins(tmp_path: Path) -> None:
    path, graph = written(tmp_path, entry("r", 0, 12.75)), chain()
    own = Settings.read({"ranges": {"r": [0, 25.5]}})
    found = scheme.applied(own, scheme.read(path), graph, make_plan(graph))
    assert found.ranges == {"r": (0.0, 25.5)}
    pooled = scheme.applied(
        Settings.read({"ranges": {"p": [0, 3]}}), scheme.read(path), graph, make_plan(graph)
    )
    assert pooled.ranges == {"p": (0.0, 3.0)}  # whose scale is that of r


@pytest.mark.parametrize(
    ("said", "own"),
    [
        ("v", {"nodes": {"y": {"weights": "int8"}}}),
        ("v", {"nodes": {"last": {"weights": "int8"}}}),
        ("w", {"nodes": {"conv_of_the_source": {"weights": "int8"}}}),
        ("y", {"nodes": {"last": {"activations": "int8"}}}),
        ("y", {"nodes": {"y": {"activations": "int8"}}}),
        ("y", {"outputs": "int8"}),
        ("x", {"inputs": {"x": "int8"}}),
        ("r", {"nodes": {"relu": {"activations": "int8"}}}),
        ("r", {"nodes": {"p": {"activations": "int8"}}}),  # whose scale is that of r
    ],
)
def test_formats_that_the_settings_give_by_any_name_win(said: str, own: dict[str, Any]) -> None:
    graph = chain()
    graph.nodes[0].origin = ("conv_of_the_source",)
    found = {said: scheme.Entry("i16", ((-4.0, 4.0),), False)}
    plan = make_plan(graph)
    assert record(scheme.applied(Settings(), found, graph, plan), graph).by_name()[said].type == "int16"
    both = scheme.applied(Settings.read(own), found, graph, plan)
    assert record(both, graph).by_name()[said].type == "int8"


def test_of_tensors_that_share_a_scale_the_owner_tells(tmp_path: Path) -> None:
    found = applied(written(tmp_path, entry("p", 0, 9), entry("r", 0, 12.75)))
    assert found.ranges == {"r": (0.0, 12.75)}


def test_strict_takes_every_range_from_the_scheme(tmp_path: Path) -> None:
    all_four = [entry("x", -3, 3), entry("r", 0, 9), entry("p", 0, 9), entry("y", -5, 5)]
    lines = record(applied(written(tmp_path, *all_four), strict=True))
    assert {line.method for line in lines.tensors if line.kind != "weight"} == {"given", "shared"}
    with pytest.raises(ModelbuildError, match="says nothing of 'x'"):
        applied(written(tmp_path, *all_four[1:]), strict=True)
    with pytest.raises(ModelbuildError, match="'zz', which is no tensor of the lowered model"):
        applied(written(tmp_path, *all_four, entry("zz", 0, 1)), strict=True)


def test_errors_of_a_scheme_have_its_line(tmp_path: Path) -> None:
    path = written(tmp_path, entry("x", -3, 3), entry("rr", 0, 9))
    path.write_text(json.dumps(json.loads(path.read_text()), indent=1))
    found = scheme.read(path)
    assert path.read_text().splitlines()[found["rr"].line - 1].strip() == '"Name": "rr",'
    graph = chain()
    with pytest.raises(ModelbuildError) as caught:
        scheme.applied(Settings(strict=True), found, graph, make_plan(graph), str(path))
    problem, *missing = caught.value.problems
    assert problem.where == f"{path}:{found['rr'].line}"
    assert [one.what for one in missing] == [f"the scheme says nothing of {name!r}" for name in "rpy"]
    assert "'rr', which is no tensor" in problem.what and problem.advice == "did you mean `r`?"
    path.write_text(path.read_text().replace('"Min": 0.0', '"Min": 5').replace('"Min": 0,', '"Min": 10,'))
    with pytest.raises(ModelbuildError, match="Min 10 is above Max 9") as caught:
        scheme.read(path)
    assert caught.value.problems[0].where == f"{path}:{found['rr'].line}"


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"DataType": "f16"}, "wants f16 for 'r'"),
        (
            {"DataRangeMode": "by_channel", "DataRange": [{"Min": 0, "Max": 1}, {"Min": 0, "Max": 2}]},
            "wants a range for each channel for 'r'",
        ),
    ],
)
def test_what_no_fixed_model_can_hold_is_named(tmp_path: Path, change: dict[str, Any], what: str) -> None:
    with pytest.raises(ModelbuildError, match=what):
        applied(written(tmp_path, entry("r", 0, 1) | change))


@pytest.mark.parametrize("value", [0, 2.5])
def test_a_range_of_one_number_is_refused_with_tensor_and_file(tmp_path: Path, value: float) -> None:
    graph = chain()
    path = written(tmp_path, entry("w", 1, 1), entry("r", value, value))
    with pytest.raises(
        ModelbuildError, match=f"has {value:g} to {value:g} for 'r', which is no range"
    ) as caught:
        scheme.applied(Settings(), scheme.read(path), graph, make_plan(graph), str(path))
    assert caught.value.exit_code == 2 and caught.value.problems[0].where == f"{path}:1"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[", "expecting value"),
        ("[]", "no mapping"),
        ('{"Outputs": []}', "'Version' is missing"),
        ('{"Version": "2.0", "Outputs": []}', "version '2.0'"),
        (json.dumps({"Version": "1.0", "Outputs": [entry("r", 0, 1, "u4")]}), "'u4' is unknown"),
        (json.dumps({"Version": "1.0", "Outputs": [entry("r", 2, 1)]}), "Min 2 is above Max 1"),
        (json.dumps({"Version": "1.0", "Outputs": [entry("r", 0, 10**400)]}), "r: -inf to inf is no range"),
        (
            json.dumps({"Version": "1.0", "Outputs": [entry("r", -1e300, 1e300)]}),
            "r: -1e+300 to 1e+300 is no range",
        ),
        (json.dumps({"Version": "1.0", "Outputs": [entry("r", 2, float("nan"))]}), "2 to nan is no range"),
        (
            json.dumps({"Version": "1.0", "Outputs": [entry("r", 0, 1) | {"DataRange": []}]}),
            "0 ranges by_tensor",
        ),
        (
            json.dumps({"Version": "1.0", "Outputs": [entry(name, 0, 1) for name in "rpxp"]}),
            "p stands twice: Outputs[1] and Outputs[3]",
        ),
        ("[" * 100_000, "too deeply"),
    ],
)
def test_damaged_schemes_are_refused(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "QuantScheme.json"
    path.write_text(text)
    with pytest.raises(ModelbuildError, match="not a QuantScheme") as caught:
        scheme.read(path)
    assert caught.value.exit_code == 2 and why in caught.value.problems[0].why


@given(st.binary(max_size=60))
def test_any_bytes_are_a_scheme_or_an_error(content: bytes) -> None:
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        with pytest.raises(ModelbuildError):
            scheme.read(Path(file.name))


@pytest.mark.parametrize("by_channel", [False, True])
def test_what_is_exported_is_read_back_to_the_same_record(tmp_path: Path, by_channel: bool) -> None:
    graph, before = chain(), record(Settings(equalize=False))
    path = tmp_path / "QuantScheme.json"
    path.write_text(scheme.written(before, graph, by_channel=by_channel))
    modes = {each["Name"]: each["DataRangeMode"] for each in json.loads(path.read_text())["Outputs"]}
    assert modes == {
        **dict.fromkeys("xrpy", "by_tensor"),
        **dict.fromkeys("wv", "by_channel" if by_channel else "by_tensor"),
    }
    after = record(applied(path, strict=True))
    for line, again in zip(before.tensors, after.tensors, strict=True):
        assert again.zero_point == line.zero_point
        assert again.scale == (None if line.scale is None else pytest.approx(line.scale, rel=1e-12))


def test_ranges_of_equalised_tensors_are_exported_as_the_float_model_has_them(tmp_path: Path) -> None:
    factors = np.array([1, 0.5, 0.1, 0.02], np.float32) / 3
    graph = chain()
    graph.constants = {
        "w": normal(4, 3, 1, 1) * factors.reshape(4, 1, 1, 1),
        "b": normal(4) * factors,
        "v": normal(2, 4, 1, 1) / factors.reshape(1, 4, 1, 1),
    }
    samples = samples_of(graph, 8)
    seen = observe(graph, samples)
    before = quantize(graph, seen, Settings(equalize=True), CHIP)
    assert "equalize" in before.corrections
    path = tmp_path / "QuantScheme.json"
    path.write_text(scheme.written(before, graph, by_channel=False))
    found = scheme.read(path)
    for name in "rp":
        ((low, high),) = found[name].ranges
        largest = seen.tensors["r"].histogram.high
        assert low == 0 and 0.7 * largest < high < 1.1 * largest
    strict = scheme.applied(Settings(strict=True), found, graph, make_plan(graph))
    after = quantize(graph, seen, strict, CHIP)
    alone = quantize(graph, seen, Settings(equalize=False), CHIP)
    assert "equalize" not in after.corrections
    levels = [
        verify(apply(graph, {}, each, load_recipe("modalix")), graph, samples)["outputs"][0]["snr_db"]
        for each in (after, alone)
    ]
    assert levels[0] > levels[1] - 1.5


def test_the_widest_channel_s_factor_counts_with_that_of_tensors_of_one_scale() -> None:
    graph, plain = chain(), record(Settings(equalize=False))
    scaled = replace(plain, corrections={"equalize": {"r": (1024, 512, 2048, 256)}})
    ranges = {
        each["Name"]: each["DataRange"][0]["Max"]
        for each in json.loads(scheme.written(scaled, graph, by_channel=False))["Outputs"]
    }
    for name, factor in {"x": 1.0, "r": 0.5, "p": 0.5, "y": 1.0}.items():
        assert ranges[name] == pytest.approx(plain.by_name()[name].high * factor)
