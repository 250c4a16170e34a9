"""Stage `check`: which unit of the chip runs each node, and what stands in the way."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelbuild.build.action import FileInput, Resources
from modelbuild.quantize.mixed_settings import named_in
from modelbuild.stages.request import ModelRequest, Source

if TYPE_CHECKING:
    from modelbuild.chips.recipe import Recipe
    from modelbuild.graph.check import Finding, Placement
    from modelbuild.graph.model import Graph

VERSION = "14"
LIBRARIES = ("numpy", "onnx")
RESOURCES = Resources(memory=96 << 20, memory_per_input_byte=2.0, counted=("model", "scheme"))


def inputs(request: ModelRequest) -> dict[str, Source]:
    """The lowered model, what `tail: auto` cut off it, and the scheme that names its tensors."""
    found: dict[str, Source] = {"model": request.output("lower", "model.onnx")}
    if request.tail:
        found["lower"] = request.output("lower", "lower.json")
    if scheme := _scheme(request):
        found["scheme"] = FileInput(scheme)
    return found


def _scheme(request: ModelRequest) -> str | None:
    """The file of a QuantScheme; beside a record it counts for nothing."""
    return None if request.record is not None else request.settings["quantize"].get("scheme")


def parameters(request: ModelRequest) -> dict[str, Any]:
    """The recipe, for its operator rules, the digest of all recipes, for other chips are named in advice, and
    what bounds and settings of quantization name: it must exist. Then the SRAM that programs may use, and the
    widths of what lies there."""
    accept = request.settings.get("accept") or {}
    of_outputs = {key: bound for key, bound in accept.items() if key != "function"}
    bounded = {key: sorted(bound) for key, bound in of_outputs.items() if isinstance(bound, Mapping)}
    named = {} if request.record is not None else named_in(request.settings["quantize"])
    more: dict[str, Any] = {"named": named} if named else {}
    if _scheme(request):
        asked = request.settings["quantize"]
        more["strict"] = bool(asked.get("strict"))
        own = {key: asked[key] for key in ("nodes", "inputs", "outputs") if asked.get(key) is not None}
        more |= {"formats": own} if own else {}
    quantized, compiled = (request.settings.get(key) or {} for key in ("quantize", "compile"))
    bits = {key: quantized[key] for key in ("activations", "weights") if quantized.get(key) is not None}
    more |= {"bits": bits} if bits else {}
    more |= {"sram_bytes": compiled["sram_bytes"]} if compiled.get("sram_bytes") is not None else {}
    more |= {"ports": request.ports} if request.ports else {}
    return {"recipe": request.recipe, "recipes": request.recipes, "bounded": bounded, **more}


def run(inputs: Mapping[str, Path], parameters: Mapping[str, Any], out: Path) -> None:
    """Leaves `check.json`, and in `errors.json` the findings that stand in the way of everything after.

    Findings never fail this stage: a stage whose work depends on there being none asks `refuse_errors`. Of a
    model that the chip can run, `errors.json` is the same on every chip, so that what needs only that much is
    done once for all of them."""
    from modelbuild.chips.recipe import Recipe
    from modelbuild.graph import onnx_io
    from modelbuild.graph.check import place
    from modelbuild.graph.codes import CODES
    from modelbuild.quantize.named import check_named
    from modelbuild.stages.files import read_json, validated, write_json

    graph = onnx_io.read(inputs["model"])
    tail = read_json(inputs["lower"])["tail"] if "lower" in inputs else {"outputs": [], "finding": None}
    _check_bounded(list(dict.fromkeys([*graph.outputs, *tail["outputs"]])), parameters["bounded"])
    check_named(graph, parameters.get("named", {}))
    recipe = validated(Recipe, parameters["recipe"])
    placement = place(graph, recipe, lambda: _chips(parameters["recipes"]))
    stopping = [finding.to_json() for finding in placement.findings if CODES[finding.code].stops]
    of_tail = [] if tail["finding"] is None else [tail["finding"]]
    of_scheme = _of_scheme(inputs, graph, parameters, recipe)
    checked = placement.to_json()
    of_sram = [] if stopping else _of_sram(graph, placement, recipe, parameters)
    found = [finding.to_json() for finding in (*placement.findings, *of_scheme, *of_sram)]
    if not stopping:
        times, total, refused = _of_outline(graph, placement.units, recipe, parameters)
        stopping = [refused.to_json()] if refused is not None else []
        found = [*_by_cost(_with_times(found, times), placement.operators, total), *stopping]
    write_json(out / "check.json", {**checked, "findings": [*of_tail, *found]})
    write_json(out / "errors.json", stopping)


_ON_CPU = ("MB103", "MB104")


def _of_outline(
    graph: Graph, units: Mapping[str, str], recipe: Recipe, parameters: Mapping[str, Any]
) -> tuple[dict[str, float], float | None, Finding | None]:
    """Node on the CPU -> ms, those of all the model where they are known before there are numbers, and
    what the compiler will refuse: a node, or more memory than there is."""
    from modelbuild.npu.predicting.assumptions import Options
    from modelbuild.stages import backends

    predicting = backends.of_arithmetic(recipe.number_format.arithmetic).predicting()
    found: tuple[dict[str, float], float | None, Finding | None] = predicting.checked(
        graph, units, recipe, Options(ports=parameters.get("ports"))
    )
    return found


def _with_times(findings: list[dict[str, object]], times: Mapping[str, float]) -> list[dict[str, object]]:
    """With `time_ms` of nodes that run on the CPU."""
    return [
        {**finding, "time_ms": times[node]}
        if finding["code"] in _ON_CPU and (node := str(finding["node"])) in times
        else finding
        for finding in findings
    ]


_MUCH = 0.05  # of the model's time, that the nodes of an operator take together: a warning
_LITTLE = 0.005  # that one of them takes: a note all the same


def _by_cost(
    findings: list[dict[str, object]], operators: Mapping[str, str], total_ms: float | None
) -> list[dict[str, object]]:
    """With severities of nodes on the CPU by what they take, where the time of the whole model is known."""
    if not total_ms:
        return findings
    taken: dict[str, float] = {}
    timed = {index: finding["time_ms"] for index, finding in enumerate(findings) if "time_ms" in finding}
    shares = {index: ms / total_ms for index, ms in timed.items() if isinstance(ms, float)}
    for index, share in shares.items():
        op = operators[str(findings[index]["node"])]
        taken[op] = taken.get(op, 0.0) + share

    def severity(index: int) -> str:
        much = taken[operators[str(findings[index]["node"])]] >= _MUCH
        return "warning" if much and shares[index] >= _LITTLE else "note"

    return [
        {**finding, "severity": severity(index)} if index in shares else finding
        for index, finding in enumerate(findings)
    ]


def _of_scheme(
    inputs: Mapping[str, Path], graph: Graph, parameters: Mapping[str, Any], recipe: Recipe
) -> list[Finding]:
    """What its names tell; raises what `quantize` would of the file, before anything is observed."""
    if "scheme" not in inputs:
        return []
    from modelbuild.graph.whole_numbers import floats_of
    from modelbuild.quantize import scheme, scheme_names
    from modelbuild.quantize.plan import make_plan
    from modelbuild.quantize.settings import Settings

    where = str(inputs["scheme"])
    graph = floats_of(graph)
    found, plan = scheme.read(inputs["scheme"]), make_plan(graph)
    settings = Settings.read({**parameters.get("formats", {}), "strict": parameters["strict"]})
    scheme_names.require_formats(found, graph, plan, recipe.number_format, recipe.chip, settings, where)
    scheme.applied(settings, found, graph, plan, where)
    return scheme_names.findings(found, graph, plan)


def _of_sram(
    graph: Graph, placement: Placement, recipe: Recipe, parameters: Mapping[str, Any]
) -> list[Finding]:
    """Layers without a step that fits the memory on the chip."""
    from modelbuild.npu.compiler import ARITHMETIC
    from modelbuild.npu.sram_check import check_sram
    from modelbuild.quantize.outline import outline
    from modelbuild.quantize.settings import Settings
    from modelbuild.toolchains.builtin import SILICON

    if recipe.number_format.arithmetic in SILICON and "sram_bytes" in parameters:
        from modelbuild.kpu import sram_check

        return sram_check.check_sram(graph, placement.units, recipe, parameters["sram_bytes"])
    if recipe.number_format.arithmetic != ARITHMETIC:
        return []  # the KPU's limits stand in its operator rules
    settings = Settings.read(parameters.get("bits", {}))
    options = {key: parameters[key] for key in ("sram_bytes",) if key in parameters}
    return check_sram(outline(graph, placement.units, recipe, settings), recipe, options)


@cache
def _chips(digest: str) -> tuple[Recipe, ...]:
    """All recipes that are installed, whose digest this is: read once for the many models of a worker."""
    from modelbuild.chips.load import chip_names, load_recipe

    return tuple(map(load_recipe, chip_names()))


def _check_bounded(outputs: list[str], bounded: Mapping[str, list[str]]) -> None:
    from modelbuild.errors import ModelbuildError, Problem, did_you_mean

    problems = [
        Problem(
            f"the model has no output `{name}` to bound",
            where=f"accept.{key}.{name}",
            why=f"its outputs are {', '.join(outputs)}",
            advice=did_you_mean(name, outputs) or "bound one of these, or all of them by one number",
        )
        for key, names in sorted(bounded.items())
        for name in names
        if name not in outputs
    ]
    if problems:
        raise ModelbuildError.of(problems)


_TOLD_OF_SPEED = ("MB107", "MB119", "MB120")


def refuse_errors(errors: Path, *, compiles: bool = True) -> None:
    """Raises the findings in `errors.json` (exit 1), if there are any. What does not compile, or exceeds the
    chip's memory, goes on where nothing is compiled: how fast it would be can be told."""
    from modelbuild.errors import EXIT_FAILED, ModelbuildError, Problem
    from modelbuild.stages.files import read_json

    problems = [
        Problem(
            finding["message"],
            where=f"node {finding['node']}" if finding["node"] else "",
            advice=finding["advice"],
            code=finding["code"],
        )
        for finding in read_json(errors)
        if compiles or (finding["severity"] == "error" and finding["code"] not in _TOLD_OF_SPEED)
    ]
    if problems:
        raise ModelbuildError.of(problems, EXIT_FAILED)


def read_placement(check: Path) -> list[dict[str, str]]:
    """{node, op, unit, reason} of each node in the graph's order, from `check.json`."""
    from modelbuild.stages.files import read_json

    rows: list[dict[str, str]] = read_json(check)["placement"]
    return rows


def read_units(check: Path) -> dict[str, str]:
    """Node -> unit, from `check.json`."""
    from modelbuild.stages.files import read_json

    units: dict[str, str] = read_json(check)["units"]
    return units
