"""Names of a QuantScheme held against the tensors of the lowered model."""

from __future__ import annotations

from collections.abc import Mapping
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
OWN_FORMATS = {"i16": "int16", "i4": "int4"}  # 8 bits are the chip's own


def quantized(graph: Graph, plan: Plan) -> list[str]:
    """The tensors of activations that a scheme may name: those that do not hold the source's codes."""
    return [name for name in plan.tensors(graph) if port_tensor(graph, name) is None]


def require_all(scheme: Mapping[str, Entry], graph: Graph, plan: Plan, where: str = "") -> None:
    """Raises (exit 2) every name that is no tensor's, and every tensor that the scheme says nothing of and
    that has no range of its own. `where`: the file."""
    tensors = quantized(graph, plan)
    known = _known(graph, tensors)
    strays = [name for name in scheme if name not in known]
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
    scheme: Mapping[str, Entry], graph: Graph, plan: Plan, of: NumberFormat, chip: str, where: str = ""
) -> None:
    """Raises (exit 2) every number format that the scheme gives a tensor or weights and the chip lacks."""
    tensors = quantized(graph, plan)
    has = {**dict.fromkeys(graph.constants, of.weights), **dict.fromkeys(tensors, of.activations)}
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
    """MB112, where names are no tensor's: what the scheme says of them has no effect."""
    known = _known(graph, quantized(graph, plan))
    strays = [name for name in scheme if name not in known]
    if not strays:
        return []
    told = [f"`{_shown(name)}`{_hint(_nearest(name, known), scheme[name].line)}" for name in strays[:_NAMED]]
    more = f" and {len(strays) - _NAMED} more" if len(strays) > _NAMED else ""
    names, are = ("a name", "is") if len(strays) == 1 else (f"{len(strays)} names", "are")
    message = (
        f"{names} of the {len(scheme)} in the scheme {are} of no tensor of the lowered model, so that "
        f"nothing is taken from there: {', '.join(told)}{more}"
    )
    advice = (
        "write the names of the lowered model's tensors, as the record of a build has them, or take these out"
    )
    return [Finding("MB112", "warning", message, advice)]


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


def _known(graph: Graph, tensors: list[str]) -> set[str]:
    return {*tensors, *graph.constants}


def _shown(name: str) -> str:
    return name if len(name) <= _LETTERS else f"{name[:_LETTERS]}..."


def _nearest(name: str, known: set[str]) -> str:
    """Which of the known names it may be meant to be, as a question, or nothing."""
    return did_you_mean(name, known) if len(name) <= _LETTERS else ""


def _hint(nearest: str, line: int | None) -> str:
    parts = [f"line {line}" if line is not None else "", nearest]
    told = ", ".join(filter(None, parts))
    return f" ({told})" if told else ""
