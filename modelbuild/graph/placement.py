"""Where an operator table puts each node of a graph, and why it is not the NPU."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

from modelbuild.chips.recipe import OperatorRule
from modelbuild.chips.units import ON_NPU
from modelbuild.graph.chains import Chains
from modelbuild.graph.model import Graph, Node
from modelbuild.graph.rules import Breach, breaches
from modelbuild.graph.subject import Subject

Table = Mapping[str, Sequence[OperatorRule]]  # operator -> its rules, the first that holds wins


@dataclass(frozen=True)
class Placed:
    """A node with its unit (`none`: nothing runs it), and what it breaks of the nearest forms of the
    operator: of those of the NPU, or, where the NPU has none, of the CPU."""

    subject: Subject
    unit: str
    npu_has_it: bool
    broken: tuple[tuple[Breach, ...], ...]

    @property
    def reason(self) -> str:
        """Why it is not on the NPU; empty where it is."""
        if self.unit in ON_NPU:
            return ""
        forms = ", or ".join(
            dict.fromkeys(" and ".join(breach.reason for breach in form) for form in self.broken)
        )
        if self.npu_has_it:
            return forms
        missing = f"the NPU has no {operator(self.subject.node)}"
        return f"{missing}, and for the CPU {forms}" if forms and self.unit == "none" else missing


def table(rules: Iterable[OperatorRule]) -> Table:
    """The rules by operator."""
    found: dict[str, list[OperatorRule]] = {}
    for rule in rules:
        found.setdefault(rule.op, []).append(rule)
    return found


def operator(node: Node) -> str:
    """The operator as rules name it; those of other domains than ONNX's carry the domain."""
    return node.op if node.domain in ("", "ai.onnx") else f"{node.domain}.{node.op}"


def place_nodes(graph: Graph, rules: Table) -> list[Placed]:
    """Each node in the graph's order. The graph is normalised: static shapes, constant parameters."""
    producers, consumers = graph.producers(), graph.consumers()
    units: dict[str, str] = {}
    placed: list[Placed] = []
    chains: list[Chains] = []
    for node in graph.nodes:
        found = _placed(
            Subject(node, graph, units, producers, consumers, chains), rules.get(operator(node), ())
        )
        units[node.name] = found.unit
        placed.append(found)
    return placed


def _placed(subject: Subject, rules: Sequence[OperatorRule]) -> Placed:
    forms: dict[str, list[tuple[Breach, ...]]] = {}
    unit = "none"
    for rule in rules:
        broken = tuple(breaches(subject, rule.when))
        if not broken:
            unit = rule.unit
            break
        forms.setdefault(rule.unit, []).append(broken)
    asked = [
        name for name in ("npu", "fused", "cpu") if forms.get(name)
    ]  # an activation may have no other place
    nearest = _nearest(forms[asked[0]]) if asked else ()
    return Placed(subject, unit, any(rule.unit in ON_NPU for rule in rules), nearest)


def runs_on_npu(subject: Subject, rules: Table) -> bool:
    """Whether the NPU itself runs the node, whatever is before it."""
    return any(
        rule.unit == "npu" and not breaches(subject, rule.when)
        for rule in rules.get(operator(subject.node), ())
    )


def _nearest(forms: Sequence[tuple[Breach, ...]]) -> tuple[tuple[Breach, ...], ...]:
    """The forms that are broken least, those of the node's own kind before others; of those that differ in
    bounds alone, that with the widest."""
    fewest = min(map(_distance, forms), default=(0, 0))
    least = [form for form in forms if _distance(form) == fewest]
    return tuple(form for form in least if not any(_allows_more(other, form) for other in least))


_KINDS = frozenset({"group"})  # what they are about makes another operator of a node, and is no bound


def _distance(form: tuple[Breach, ...]) -> tuple[int, int]:
    return sum(breach.condition in _KINDS for breach in form), len(form)


def _allows_more(one: tuple[Breach, ...], other: tuple[Breach, ...]) -> bool:
    pairs = list(zip(one, other, strict=True))
    if any(a.condition != b.condition for a, b in pairs) or all(a.allowed == b.allowed for a, b in pairs):
        return False
    return all(_is_within(b.allowed, a.allowed) for a, b in pairs)


def _is_within(narrow: Any, wide: Any) -> bool:
    """Whether one range {min, max} is all in another; True for whatever is equal."""
    if narrow == wide:
        return True
    if not (isinstance(narrow, dict) and isinstance(wide, dict)) or {*narrow, *wide} - {"min", "max"}:
        return False
    outer, inner = ((it.get("min", -inf), it.get("max", inf)) for it in (wide, narrow))
    return bool(outer[0] <= inner[0] and inner[1] <= outer[1])
