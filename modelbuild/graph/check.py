"""Places each node of a lowered graph on a unit of the chip by the recipe's rules, and says why."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from modelbuild.chips.recipe import Recipe
from modelbuild.chips.units import ON_NPU
from modelbuild.graph import structure
from modelbuild.graph.advice import Advisor
from modelbuild.graph.codes import Severity
from modelbuild.graph.definable import COMPLETE, DEFINED, not_finite, undefined
from modelbuild.graph.model import Graph, Node
from modelbuild.graph.neighbours import OF_PORTS
from modelbuild.graph.placement import Placed, operator, place_nodes, table
from modelbuild.graph.statistics import node_macs
from modelbuild.graph.subject import moves_nothing

_MANY_MACS = 1_000_000  # a node that takes a CPU so many is told as a warning wherever it stands


@dataclass(frozen=True)
class Finding:
    """Something to know about a model on a chip. docs/checks.md has a section for each code."""

    code: str
    severity: Severity
    message: str
    advice: str = ""
    node: str = ""
    file: str = ""
    line: int | None = None
    column: int | None = None

    def to_json(self) -> dict[str, object]:
        """The form of `check.json` and of `modelbuild check --json`."""
        return asdict(self)


@dataclass(frozen=True)
class Placement:
    """Node name -> `npu`, `fused` (into the node before), `cpu` or `none`; the reason for each node that is
    not on the NPU; node name -> operator; what there is to say, in the graph's order."""

    units: Mapping[str, str]
    reasons: Mapping[str, str]
    operators: Mapping[str, str]
    findings: tuple[Finding, ...]

    def to_json(self) -> dict[str, object]:
        """The form of `check.json`."""
        rows = [
            {"node": node, "op": self.operators[node], "unit": unit, "reason": self.reasons.get(node, "")}
            for node, unit in self.units.items()
        ]
        return {
            "findings": [finding.to_json() for finding in self.findings],
            "placement": rows,
            "units": dict(self.units),
        }


def place(graph: Graph, recipe: Recipe, others: Callable[[], Sequence[Recipe]] = tuple) -> Placement:
    """Where each node runs. The graph is normalised: static shapes, constant parameters. `others` are chips
    to name where this one does not run a node; asked for at most once. The same graph and recipes give the
    same findings in the same order."""
    placed = place_nodes(graph, table(recipe.operators))
    missing = _undefined(placed, recipe)
    units = {one.subject.node.name: _unit(one, missing, recipe) for one in placed}
    advisor = Advisor(recipe, others)
    has_npu = any(rule.unit == "npu" for rule in recipe.operators)
    findings: list[Finding] = list(_model_findings(graph, recipe, advisor))
    feeds_npu = _nodes_before_npu(graph, units)
    editions = _by_edition(graph, recipe, units)
    for one in placed:
        name = one.subject.node.name
        if one.unit == "none" or (has_npu and units[name] != "none"):
            findings.extend(_node_findings(one, recipe, advisor, name in feeds_npu))
        if name in missing:
            findings.append(_undefined_finding(one, units[name], recipe, advisor, missing[name]))
        if name not in missing or recipe.number_format.arithmetic not in COMPLETE:
            findings.extend(_edition_findings(one, recipe, editions))
    return Placement(
        units,
        {
            one.subject.node.name: f"{_reason(one, units, missing, has_npu)} on {recipe.chip}"
            for one in placed
            if one.reason
        },
        {one.subject.node.name: operator(one.subject.node) for one in placed},
        tuple(findings),
    )


def _undefined(placed: Sequence[Placed], recipe: Recipe) -> dict[str, str]:
    """The nodes that a unit runs, and for which the number system has no definition: why."""
    arithmetic = recipe.number_format.arithmetic
    if arithmetic not in DEFINED:
        return {}
    reasons = {
        one.subject.node.name: undefined(one.subject, arithmetic) for one in placed if one.unit != "none"
    }
    return {name: reason for name, reason in reasons.items() if reason}


def _unit(one: Placed, missing: Mapping[str, str], recipe: Recipe) -> str:
    """Where the node runs: nowhere, if the CPU's program is ours and has no form of it."""
    nowhere = one.subject.node.name in missing and recipe.number_format.arithmetic in COMPLETE
    return "none" if nowhere else one.unit


def _reason(one: Placed, units: Mapping[str, str], missing: Mapping[str, str], has_npu: bool) -> str:
    name = one.subject.node.name
    if units[name] == "none" and name in missing:
        return missing[name]
    return one.reason if has_npu or one.unit == "none" else "there is no NPU"


def _nodes_before_npu(graph: Graph, units: Mapping[str, str]) -> set[str]:
    """Names of the nodes after which, sooner or later, the NPU has work again."""
    consumers = graph.consumers()
    found: set[str] = set()
    for node in reversed(graph.nodes):
        readers = [reader for output in node.outputs for reader in consumers.get(output, [])]
        if any(reader.name in found or _is_work(reader, units) for reader in readers):
            found.add(node.name)
    return found


def _is_work(node: Node, units: Mapping[str, str]) -> bool:
    return units[node.name] in ON_NPU and node.op not in OF_PORTS


def _node_findings(one: Placed, recipe: Recipe, advisor: Advisor, feeds_npu: bool) -> Iterator[Finding]:
    node, chip = one.subject.node, recipe.chip
    start = f"{node.op} `{node.name}`:"
    if one.unit == "none":
        code = "MB102" if one.broken else "MB101"
        known = f"{one.reason} on {chip}; nothing on this chip runs it"
        message = f"{start} {known if one.broken else f'no unit of {chip} runs {operator(node)}'}"
        yield Finding(code, "error", message, advisor.of_refused(one), node.name)
    elif one.unit == "cpu":
        code = "MB104" if one.npu_has_it else "MB103"
        in_program = recipe.number_format.arithmetic in COMPLETE
        free = in_program and moves_nothing(one.subject)
        if free and not feeds_npu:
            return  # there is nothing to do, and nothing to wait for
        long = in_program and node_macs(one.subject.graph, node) >= _MANY_MACS
        severity: Severity = "warning" if long or (feeds_npu and not free) else "note"
        message = f"{start} {one.reason} on {chip}; it runs on the CPU"
        yield Finding(code, severity, message, advisor.of_slow(one, feeds_npu), node.name)


def _undefined_finding(one: Placed, unit: str, recipe: Recipe, advisor: Advisor, why: str) -> Finding:
    node, chip = one.subject.node, recipe.chip
    known = f"nothing on {chip} runs it: " if unit == "none" else f"{chip} runs it, but "
    if not_finite(one.subject):
        known = ""  # which is no matter of the chip
    message = f"{node.op} `{node.name}`: {known}{why}"
    return Finding("MB105", "error", message, advisor.of_undefined(one), node.name)


def _by_edition(graph: Graph, recipe: Recipe, units: Mapping[str, str]) -> dict[str, dict[str, Placed]]:
    """Another edition -> the nodes that it has on the NPU, on the CPU or nowhere, unlike this one; none where
    files are written for this one."""
    found: dict[str, dict[str, Placed]] = {}
    if recipe.container.edition == recipe.edition:
        return found  # what is written is for this one alone
    for other in recipe.editions:
        placed = place_nodes(graph, table(other.operators))
        found[other.edition] = {
            one.subject.node.name: one
            for one in placed
            if _standing(one.unit) != _standing(units[one.subject.node.name])
        }
    return found


def _standing(unit: str) -> int:
    """2 on the NPU, 1 on the CPU, 0 where nothing runs it."""
    return 2 if unit in ON_NPU else int(unit == "cpu")


def _edition_findings(
    here: Placed, recipe: Recipe, editions: Mapping[str, Mapping[str, Placed]]
) -> Iterator[Finding]:
    node = here.subject.node
    for edition, differing in editions.items():
        there = differing.get(node.name)
        if there is None:
            continue
        ours, theirs = (here, recipe.edition), (there, edition)
        (_, without), (best, with_it) = sorted((ours, theirs), key=lambda pair: _standing(pair[0].unit))
        worst = here if best is there else there
        runner = f"the NPU of {recipe.chip}" if best.unit in ON_NPU else recipe.chip
        reason = worst.reason if worst.broken else f"it has no {operator(node)}"
        message = (
            f"{node.op} `{node.name}`: {runner} runs it by edition {with_it} only; by {without}, {reason}"
        )
        advice = f"set `edition:` of the target to that of your toolchain ({with_it} or {without})"
        yield Finding("MB109", "warning", message, advice, node.name)


def _model_findings(graph: Graph, recipe: Recipe, advisor: Advisor) -> Iterator[Finding]:
    inputs, allowed = len(graph.inputs), recipe.container.max_inputs
    if recipe.number_format.arithmetic not in DEFINED:
        message = f"nothing compiles for {recipe.chip} yet: its nodes are placed and timed, and a build stops"
        yield Finding("MB110", "warning", message, "check and evaluate it, or build for another chip")
    written = recipe.container.edition
    if written not in ("", recipe.edition):
        message = (
            f"a {recipe.container.format} is written for {written} of the vendor's runtime, not for "
            f"{recipe.edition}: nodes are placed and timed, and a build stops"
        )
        yield Finding("MB110", "warning", message, f"leave `edition` out, or set it to {written}, to build")
    if structure.is_noted(graph):
        message = "the weights are all alike: predicted times mean something, outputs and accuracy do not"
        yield Finding("MB113", "warning", message, "give the model with its own weights to build from it")
    if allowed is not None and inputs > allowed:
        message = f"the model has {inputs} inputs; a model for {recipe.chip} has at most {allowed}"
        elsewhere = advisor.elsewhere(lambda chip: inputs <= (chip.container.max_inputs or inputs))
        yield Finding("MB106", "error", message, _either("join the inputs to one tensor", elsewhere))
    size = sum(graph.constants[name].size for name in _parameters(graph))
    most = recipe.container.max_model_bytes
    if most is not None and size > most:
        message = f"the parameters alone are {size:,} bytes at 8 bits; {recipe.chip} holds {most:,} a model"
        elsewhere = advisor.elsewhere(lambda chip: size <= _held(chip))
        yield Finding("MB107", "error", message, _either("take a smaller model", elsewhere))
    for name in graph.outputs:
        if name in graph.constants:
            message = f"the output `{name}` is a constant: no input of the model reaches it"
            yield Finding("MB108", "error", message, "cut it off (edit: cut: outputs names those to keep)")


def _held(recipe: Recipe) -> float:
    """Bytes of parameters that a model on the chip has room for."""
    most = recipe.container.max_model_bytes
    return recipe.hardware.dram_bytes.value if most is None else most


def _either(*ways: str) -> str:
    return "; or ".join(filter(None, ways))


def _parameters(graph: Graph) -> list[str]:
    used = {name for node in graph.nodes for name in node.inputs}
    return [name for name in graph.constants if name in used]
