"""Names of a scheme: which of them have no effect, and which formats the chip lacks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from modelbuild.chips.load import load_recipe
from modelbuild.errors import ModelbuildError
from modelbuild.graph.model import Node
from modelbuild.quantize import scheme, scheme_names
from modelbuild.quantize.plan import make_plan
from modelbuild.quantize.scheme_names import findings, require_formats
from modelbuild.quantize.settings import Settings
from tests.quantize.cases import graph_of
from tests.quantize.test_scheme import applied, chain, entry, record, written
from tests.quantize.test_source_quantization import ported


def test_names_that_no_tensor_has_are_told_with_their_line_and_what_is_near(tmp_path: Path) -> None:
    path = written(tmp_path, *(entry(name, -3, 3) for name in ("x", "w", "pp", "conv")))
    path.write_text(json.dumps(json.loads(path.read_text()), indent=1))
    graph, found = chain(), scheme.read(path)
    (warning,) = findings(found, graph, make_plan(graph))
    assert (warning.code, warning.severity) == ("MB112", "warning")
    lines = [found[name].line for name in ("pp", "conv")]
    assert warning.message.startswith("2 names of the 4 in the scheme are of no tensor")
    assert f"`pp` (line {lines[0]}, did you mean `p`?), `conv` (line {lines[1]})" in warning.message
    applied(path)  # goes on without them
    many = written(tmp_path, *(entry(f"t{number}", 0, 1) for number in range(9)))
    (warning,) = findings(scheme.read(many), graph, make_plan(graph))
    assert warning.message.endswith("`t4` (line 1) and 4 more")
    all_known = written(tmp_path, entry("y", 0, 1))
    assert findings(scheme.read(all_known), graph, make_plan(graph)) == []


def test_names_of_what_is_not_left_or_has_no_format_are_told_as_such(tmp_path: Path) -> None:
    given = [entry("a", -3, 3), entry("b", -1, 1, "i16"), entry("r", 0, 3), entry("w", -1, 1, "i16")]
    path, graph = written(tmp_path, *given), chain()
    (warning,) = findings(scheme.read(path), graph, make_plan(graph))
    assert (warning.code, warning.severity) == ("MB112", "warning")
    assert warning.message == (
        "2 names of the 4 in the scheme have no effect on the fixed-point model: `a` (line 1, becomes one "
        "with `r`, which has the range), `b` (line 1, a constant that is no weights)"
    )
    both = findings(scheme.read(written(tmp_path, *given, entry("zz", 0, 1))), graph, make_plan(graph))
    assert [one.message.split(":")[1].split()[0] for one in both] == ["`zz`", "`a`"]
    rest = [entry(name, -3, 3) for name in "xpy"]
    assert applied(written(tmp_path, *given, *rest), strict=True).ranges["r"] == (0.0, 3.0)


def test_ports_of_codes_in_an_exported_scheme_are_no_names_without_effect(tmp_path: Path) -> None:
    graph, made = ported("kl720")
    path, plan = tmp_path / "QuantScheme.json", make_plan(graph)
    path.write_text(scheme.written(made.record, graph, by_channel=False))
    found = scheme.read(path)
    assert found["x"].type == "u8" and findings(found, graph, plan) == []
    scheme.applied(Settings(strict=True), found, graph, plan)
    (warning,) = findings({"x": scheme.Entry("i16", ((0, 1),), False)}, graph, plan)
    assert warning.message.endswith("`x` (holds the source's codes)")


def test_formats_that_the_chip_lacks_are_all_refused_at_their_lines(tmp_path: Path) -> None:
    outputs = (entry("x", -3, 3, "i16"), entry("w", -1, 1, "i4"), entry("v", -1, 1, "i16"), entry("r", 0, 1))
    path, graph = written(tmp_path, *outputs), chain()
    for chip, lacking in (("kl520", ["int16 for 'x'", "int4 for 'w'", "int16 for 'v'"]), ("kl720", ["int4"])):
        with pytest.raises(ModelbuildError) as caught:
            of = load_recipe(chip).number_format
            require_formats(scheme.read(path), graph, make_plan(graph), of, chip, Settings(), str(path))
        for problem, form in zip(caught.value.problems, lacking, strict=True):
            assert f"wants {form}" in problem.what and f"not possible on {chip}" in problem.what
            assert problem.where == f"{path}:1"
    of = load_recipe("kl530").number_format
    require_formats(scheme.read(path), graph, make_plan(graph), of, "kl530", Settings())


def test_formats_that_the_settings_or_the_kind_of_constant_set_aside_are_not_refused(tmp_path: Path) -> None:
    outputs = (entry("x", -3, 3, "i16"), entry("v", -1, 1, "i16"), entry("b", -1, 1, "i16"))
    path, graph = written(tmp_path, *outputs), chain()
    own = Settings.read({"inputs": "int8", "nodes": {"y": {"weights": "int8"}}})
    of = load_recipe("kl520").number_format
    require_formats(scheme.read(path), graph, make_plan(graph), of, "kl520", own)
    floats = written(tmp_path, entry("y", -3, 3, "f32"), entry("v", -1, 1, "f32"))
    both = Settings.read({"nodes": {"last": {"activations": "int16", "weights": "int8"}}})
    lines = record(scheme.applied(both, scheme.read(floats), graph, make_plan(graph))).by_name()
    assert (lines["y"].type, lines["v"].type, lines["y"].method) == ("int16", "int8", "given")


def test_16_bits_hold_for_tensors_with_a_range_of_their_own() -> None:
    graph = graph_of([Node("Sigmoid", "s", ["x"], ["y"])], {"x": (1, 4)}, ["y"], {})
    plan = make_plan(graph)
    found = {"y": scheme.Entry("i16", ((0, 9),), False)}
    lines = record(scheme.applied(Settings(), found, graph, plan), graph).by_name()
    assert (lines["y"].type, lines["y"].method, lines["y"].high) == ("int16", "natural", 1.0)
    for kind in ("f32", "i4"):
        with pytest.raises(ModelbuildError, match=f"the scheme wants {kind} for 'y'"):
            scheme.applied(Settings(), {"y": scheme.Entry(kind, ((0, 1),), False)}, graph, plan)


def test_of_many_tensors_that_a_strict_scheme_lacks_the_first_are_named(tmp_path: Path) -> None:
    nodes = [Node("Relu", f"n{number}", [f"t{number}"], [f"t{number + 1}"]) for number in range(9)]
    graph = graph_of(nodes, {"t0": (1, 4)}, ["t9"], {})
    with pytest.raises(ModelbuildError) as caught:
        scheme.applied(Settings(strict=True), {}, graph, make_plan(graph))
    told = [problem.what for problem in caught.value.problems]
    assert len(told) == 5 and told[4] == "the scheme says nothing of 't4' (nor of 5 more tensors)"


def test_of_many_names_that_no_tensor_has_the_first_are_told_and_no_other_is_compared(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compared: list[str] = []

    def compare(name: str, known: set[str]) -> str:
        compared.append(name)
        return ""

    monkeypatch.setattr(scheme_names, "did_you_mean", compare)
    many = {f"t{number}": scheme.Entry("u8", ((0, 1),), False) for number in range(50_000)}
    graph = chain()
    (warning,) = findings(many, graph, make_plan(graph))
    assert warning.message.startswith("50000 names") and warning.message.endswith("`t4` and 49995 more")
    given = {**many, **{name: scheme.Entry("u8", ((0, 1),), False) for name in "xrpy"}}
    with pytest.raises(ModelbuildError) as caught:
        scheme.applied(Settings(strict=True), given, graph, make_plan(graph))
    told = [problem.what for problem in caught.value.problems]
    assert len(told) == 5 and told[4].endswith("lowered model (nor are 49995 more names)")
    assert compared == 2 * [f"t{number}" for number in range(5)]
    long = {"t" * 1_000_000: scheme.Entry("u8", ((0, 1),), False)}
    (warning,) = findings(long, graph, make_plan(graph))
    assert len(warning.message) < 500 and len(compared) == 10
