"""Names of a QuantScheme held against the tensors of the lowered model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from modelbuild.errors import ModelbuildError, Problem, did_you_mean
from modelbuild.graph.check import Finding
from modelbuild.graph.model import Graph
from modelbuild.quantize.plan import Plan
from modelbuild.quantize.ports import port_tensor

if TYPE_CHECKING:
    from modelbuild.chips.recipe import NumberFormat
    from modelbuild.quantize.scheme import Entry

_NAMED = 5  # in one finding
OWN_FORMATS = {"i16": "int16", "i4": "int4"}  # 8 bits are the chip's own


def quantized(graph: Graph, plan: Plan) -> list[str]:
    """The tensors of activations that a scheme may name: those that do not hold the source's codes."""
    return [name for name in plan.tensors(graph) if port_tensor(graph, name) is None]


def require_all(scheme: Mapping[str, Entry], graph: Graph, plan: Plan, where: str = "") -> None:
    """Raises (exit 2) every name that is no tensor's, and every tensor that the scheme says nothing of and
    that has no range of its own. `where`: the file."""
    tensors = quantized(graph, plan)
    problems = [
        Problem(
            f"the scheme has {name!r}, which is no tensor of the lowered model",
            at(where, scheme[name].line),
            advice=nearest or "write `strict: false`, or take it out",
        )
        for name, nearest in _strays(scheme, graph, tensors).items()
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
    strays = _strays(scheme, graph, quantized(graph, plan))
    if not strays:
        return []
    told = [f"`{name}`{_hint(nearest, scheme[name].line)}" for name, nearest in strays.items()]
    more = f" and {len(told) - _NAMED} more" if len(told) > _NAMED else ""
    names, are = ("a name", "is") if len(told) == 1 else (f"{len(told)} names", "are")
    message = (
        f"{names} of the {len(scheme)} in the scheme {are} of no tensor of the lowered model, so that "
        f"nothing is taken from there: {', '.join(told[:_NAMED])}{more}"
    )
    advice = (
        "write the names of the lowered model's tensors, as the record of a build has them, or take these out"
    )
    return [Finding("MB112", "warning", message, advice)]


def at(where: str, line: int | None) -> str:
    """The place of a line in a file, both where they are known."""
    return where if line is None or not where else f"{where}:{line}"


def _strays(scheme: Mapping[str, Entry], graph: Graph, tensors: list[str]) -> dict[str, str]:
    """Name that is no tensor's -> which it may be meant to be, as a question, or nothing."""
    known = {*tensors, *graph.constants}
    return {name: did_you_mean(name, known) for name in scheme if name not in known}


def _hint(nearest: str, line: int | None) -> str:
    parts = [f"line {line}" if line is not None else "", nearest]
    told = ", ".join(filter(None, parts))
    return f" ({told})" if told else ""
