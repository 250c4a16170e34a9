"""Places each node of a lowered graph on a unit of the chip by the recipe's rules, and says why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Literal

from modelbuild.chips.recipe import OperatorRule, Recipe
from modelbuild.graph.advice import advice
from modelbuild.graph.definable import undefined
from modelbuild.graph.model import Graph, Node
from modelbuild.graph.rules import broken
from modelbuild.graph.subject import Subject

Severity = Literal["error", "warning", "note"]
Rules = Mapping[str, list[OperatorRule]]
_COMPUTING = ("npu", "cpu")


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
    not on the NPU; what there is to say, in the graph's order."""

    units: Mapping[str, str]
    reasons: Mapping[str, str]
    findings: tuple[Finding, ...]

    def to_json(self) -> dict[str, object]:
        """The form of `check.json`."""
        return {"findings": [finding.to_json() for finding in self.findings], "units": dict(self.units)}


def place(graph: Graph, recipe: Recipe) -> Placement:
    """Where each node runs. The graph is normalised: static shapes, constant parameters. Pure; the same graph
    and recipe give the same findings in the same order."""
    rules = _by_operator(recipe)
    producers, consumers = graph.producers(), graph.consumers()
    units: dict[str, str] = {}
    reasons: dict[str, str] = {}
    findings: list[Finding] = list(_model_findings(graph, recipe))
    placed: list[tuple[Subject, str]] = []
    for node in graph.nodes:
        subject = Subject(node, graph, units, producers, consumers)
        units[node.name], reason = _unit(subject, rules)
        if reason:
            reasons[node.name] = f"{reason} on {recipe.chip}"
        placed.append((subject, reason))
    feeds_npu = _nodes_before_npu(graph, units)
    for subject, reason in placed:
        node = subject.node
        findings.extend(_node_findings(subject, reason, rules, recipe, node.name in feeds_npu))
    return Placement(units, reasons, tuple(findings))


def _by_operator(recipe: Recipe) -> Rules:
    found: dict[str, list[OperatorRule]] = {}
    for rule in recipe.operators:
        found.setdefault(rule.op, []).append(rule)
    return found


def _unit(subject: Subject, rules: Rules) -> tuple[str, str]:
    """The unit of the first rule that holds, and why it is not the NPU."""
    listed = rules.get(_operator(subject.node), [])
    for rule in listed:
        if not broken(subject, rule.when):
            return rule.unit, "" if rule.unit != "cpu" else _why_not(subject, listed)
    return "none", _why_not(subject, listed)


def _operator(node: Node) -> str:
    """The operator as rules name it; those of other domains than ONNX's carry the domain."""
    return node.op if node.domain in ("", "ai.onnx") else f"{node.domain}.{node.op}"


def _why_not(subject: Subject, listed: list[OperatorRule]) -> str:
    """What the node breaks of the NPU's forms of the operator, or, where there are none, of the CPU's."""
    breaks = {
        unit: [broken(subject, rule.when) for rule in listed if rule.unit == unit] for unit in _COMPUTING
    }
    if breaks["npu"]:
        return _nearest(breaks["npu"])
    reason = f"the NPU has no {_operator(subject.node)}"
    cpu = _nearest(breaks["cpu"]) if breaks["cpu"] else ""
    return f"{reason}, and for the CPU {cpu}" if cpu else reason


def _nearest(forms: list[list[str]]) -> str:
    """What is broken of the forms that are broken least."""
    fewest = min(map(len, forms))
    return ", or ".join(dict.fromkeys(" and ".join(form) for form in forms if len(form) == fewest))


def _nodes_before_npu(graph: Graph, units: Mapping[str, str]) -> set[str]:
    """Names of the nodes after which, sooner or later, the NPU has work again."""
    consumers = graph.consumers()
    found: set[str] = set()
    for node in reversed(graph.nodes):
        readers = [reader for output in node.outputs for reader in consumers.get(output, [])]
        if any(units[reader.name] in ("npu", "fused") or reader.name in found for reader in readers):
            found.add(node.name)
    return found


def _node_findings(
    subject: Subject, reason: str, rules: Rules, recipe: Recipe, feeds_npu: bool
) -> Iterator[Finding]:
    node, unit = subject.node, subject.units[subject.node.name]
    operator, chip = _operator(node), recipe.chip
    start = f"{node.op} `{node.name}`:"
    if operator not in rules:
        message = f"{start} no unit of {chip} runs {operator}"
        yield Finding("MB101", "error", message, advice(node), node.name)
    elif unit == "none":
        message = f"{start} {reason} on {chip}; nothing on this chip runs it"
        yield Finding("MB102", "error", message, advice(node), node.name)
    elif unit == "cpu":
        code = "MB104" if any(rule.unit == "npu" for rule in rules[operator]) else "MB103"
        severity: Severity = "warning" if feeds_npu else "note"
        message = f"{start} {reason} on {chip}; it runs on the CPU"
        yield Finding(code, severity, message, advice(node), node.name)
    inexpressible = undefined(subject, recipe.number_format.arithmetic) if unit != "none" else ""
    if inexpressible:
        message = f"{start} {chip} runs it, but {inexpressible}"
        yield Finding("MB105", "error", message, advice(node), node.name)


def _model_findings(graph: Graph, recipe: Recipe) -> Iterator[Finding]:
    inputs, allowed = len(graph.inputs), recipe.container.max_inputs
    if allowed is not None and inputs > allowed:
        message = f"the model has {inputs} inputs; a model for {recipe.chip} has at most {allowed}"
        yield Finding("MB106", "error", message, "join the inputs to one tensor, or take another chip")
    size = sum(graph.constants[name].size for name in _parameters(graph))
    most = recipe.container.max_model_bytes
    if most is not None and size > most:
        message = f"the parameters alone are {size} bytes at 8 bits; {recipe.chip} holds {most} bytes a model"
        yield Finding("MB107", "error", message, "take a smaller model or another chip")
    for name in graph.outputs:
        if name in graph.constants:
            message = f"the output `{name}` is a constant: no input of the model reaches it"
            yield Finding("MB108", "error", message, "cut it off (edit: cut: outputs names those to keep)")


def _parameters(graph: Graph) -> list[str]:
    used = {name for node in graph.nodes for name in node.inputs}
    return [name for name in graph.constants if name in used]
