"""Names of a QuantScheme held against the tensors of the lowered model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelbuild.errors import ModelbuildError, Problem, did_you_mean
from modelbuild.graph.check import Finding
from modelbuild.graph.model import Graph
from modelbuild.quantize.mixed_bits import layers, layers_named
from modelbuild.quantize.mixed_settings import ALL
from modelbuild.quantize.plan import Plan
from modelbuild.quantize.ports import port_tensor
from modelbuild.quantize.settings import Settings

if TYPE_CHECKING:
    from modelbuild.chips.recipe import NumberFormat
    from modelbuild.quantize.scheme import Entry

_NAMED = 5  # in one finding
_LETTERS = 200  # of a name that are shown; longer ones are compared with no other
_STRAY = (
    "of no tensor of the lowered model, so that nothing is taken from there",
    "write the names of the lowered model's tensors, as the record of a build has them, or take these out",
)
_IDLE = (
    "no effect on the fixed-point model",
    "name the tensor that is left instead, or take these out",
)
OWN_FORMATS = {"i16": "int16", "i4": "int4"}  # 8 bits are the chip's own


def quantized(graph: Graph, plan: Plan) -> list[str]:
    """The tensors of activations that a scheme may name: those that do not hold the source's codes."""
    return [name for name in plan.tensors(graph) if port_tensor(graph, name) is None]


def require_all(scheme: Mapping[str, Entry], graph: Graph, plan: Plan, where: str = "") -> None:
    """Raises (exit 2) names that the lowered model does not have, and tensors that the scheme says nothing of
    and that have no range of their own; of many the first. `where`: the file."""
    tensors = quantized(graph, plan)
    strays, known = _strays(scheme, graph, plan), _heard(graph, plan)
    more = f" (nor are {len(strays) - _NAMED} more names)" if len(strays) > _NAMED else ""
    problems = [
        Problem(
            f"the scheme has {_shown(name)!r}, which is no tensor of the lowered model"
            f"{more if place == _NAMED else ''}",
            at(where, scheme[name].line),
            advice=_nearest(name, known) or "write `strict: false`, or take it out",
        )
        for place, name in enumerate(strays[:_NAMED], 1)
    ]
    lacking = [name for name in tensors if name not in scheme and plan.root(name) not in plan.natural]
    more = f" (nor of {len(lacking) - _NAMED} more tensors)" if len(lacking) > _NAMED else ""
    problems += [
        Problem(
            f"the scheme says nothing of {name!r}{more if place == _NAMED else ''}",
            where,
            "`strict` takes every range from it",
            "write `strict: false`, or add the tensor",
        )
        for place, name in enumerate(lacking[:_NAMED], 1)
    ]
    if problems:
        raise ModelbuildError.of(problems)


def require_formats(
    scheme: Mapping[str, Entry],
    graph: Graph,
    plan: Plan,
    of: NumberFormat,
    chip: str,
    settings: Settings,
    where: str = "",
) -> None:
    """Raises (exit 2) every number format that the scheme gives a tensor or weights, where the settings give
    none, and that the chip lacks."""
    own = stated(settings, graph, plan)
    tensors = [name for name in quantized(graph, plan) if plan.root(name) not in own.tensors]
    weights = [name for name in _weights(graph, plan) if name not in own.weights]
    has = {**dict.fromkeys(weights, of.weights), **dict.fromkeys(tensors, of.activations)}
    problems = [
        Problem(
            f"the scheme wants {form} for {name!r}, which is not possible on {chip}",
            at(where, entry.line),
            f"it has {', '.join(has[name])}",
            "edit its line, or take it out",
        )
        for name, entry in scheme.items()
        if name in has and (form := OWN_FORMATS.get(entry.type)) is not None and form not in has[name]
    ]
    if problems:
        raise ModelbuildError.of(problems)


def findings(scheme: Mapping[str, Entry], graph: Graph, plan: Plan) -> list[Finding]:
    """MB112, where what the scheme says of names has no effect: no tensor has them, or one that is not left
    or has no format of its own."""
    known, strays, idle = _heard(graph, plan), _strays(scheme, graph, plan), _idle(scheme, graph, plan)
    nearest = {name: _nearest(name, known) for name in strays[:_NAMED]}
    return [
        *_warning(scheme, strays, nearest, ("is", "are"), _STRAY),
        *_warning(scheme, list(idle), idle, ("has", "have"), _IDLE),
    ]


def _warning(
    scheme: Mapping[str, Entry],
    names: Sequence[str],
    reasons: Mapping[str, str],
    verbs: tuple[str, str],
    saying: tuple[str, str],
) -> list[Finding]:
    """One on these names, if there are any; `reasons` of those that are told, `saying` what and advice."""
    if not names:
        return []
    told = [f"`{_shown(name)}`{_hint(reasons[name], scheme[name].line)}" for name in names[:_NAMED]]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    subject = f"a name of the {len(scheme)} in the scheme {verbs[0]}"
    if len(names) > 1:
        subject = f"{len(names)} names of the {len(scheme)} in the scheme {verbs[1]}"
    return [Finding("MB112", "warning", f"{subject} {saying[0]}: {', '.join(told)}{more}", saying[1])]


@dataclass(frozen=True)
class Stated:
    """What settings give a format: tensors, by the root whose scale they have, and weights, by constant."""

    tensors: frozenset[str]
    weights: frozenset[str]


def stated(settings: Settings, graph: Graph, plan: Plan) -> Stated:
    """What the settings give a format by any of its names. Raises (exit 2) on nodes that do not exist."""
    listed = layers(graph, plan)
    tensors, weights = set[str](), set[str]()
    for name, wanted in settings.nodes.items():
        for layer in layers_named(listed, name):
            if wanted.activations is not None:
                tensors.update(layer.leaves)
            if wanted.weights is not None and layer.weights is not None:
                weights.add(layer.weights)
    for ports, given in ((graph.inputs, settings.inputs), (graph.outputs, settings.outputs)):
        tensors.update(plan.root(name) for name in ports if name in given or ALL in given)
    return Stated(frozenset(tensors), frozenset(weights))


def at(where: str, line: int | None) -> str:
    """The place of a line in a file, both where they are known."""
    return where if line is None or not where else f"{where}:{line}"


def _heard(graph: Graph, plan: Plan) -> set[str]:
    """Names of which what a scheme says has an effect."""
    return {*quantized(graph, plan), *_weights(graph, plan)}


def _weights(graph: Graph, plan: Plan) -> dict[str, None]:
    return dict.fromkeys(layer.weights for layer in layers(graph, plan) if layer.weights is not None)


def _strays(scheme: Mapping[str, Entry], graph: Graph, plan: Plan) -> list[str]:
    """The names that the lowered model does not have."""
    made = (name for node in graph.nodes for name in node.outputs if name)
    has = {*graph.inputs, *graph.constants, *_weights(graph, plan), *made}
    return [name for name in scheme if name not in has]


def _idle(scheme: Mapping[str, Entry], graph: Graph, plan: Plan) -> dict[str, str]:
    """Name that the lowered model has and of which what the scheme says has no effect -> why."""
    weights = _weights(graph, plan)
    why = {name: "a constant that is no weights" for name in graph.constants if name not in weights}
    for step in plan.steps:
        melted = (name for node in step.nodes[:-1] for name in node.outputs if name)
        why |= dict.fromkeys(melted, f"becomes one with `{step.outputs[0]}`, which has the range")
    for name in plan.tensors(graph):
        port = port_tensor(graph, name)
        form = OWN_FORMATS.get(scheme[name].type) if name in scheme else None
        if port is not None and form not in (None, f"int{port.bits}"):
            why[name] = "holds the source's codes"
    return {name: why[name] for name in scheme if name in why}


def _shown(name: str) -> str:
    return name if len(name) <= _LETTERS else f"{name[:_LETTERS]}..."


def _nearest(name: str, known: set[str]) -> str:
    """Which of the known names it may be meant to be, as a question, or nothing."""
    return did_you_mean(name, known) if len(name) <= _LETTERS else ""


def _hint(nearest: str, line: int | None) -> str:
    parts = [f"line {line}" if line is not None else "", nearest]
    told = ", ".join(filter(None, parts))
    return f" ({told})" if told else ""
