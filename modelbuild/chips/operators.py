"""The operator table of a recipe file (unit -> operator -> forms) -> a list of rules."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

from modelbuild.chips import conditions
from modelbuild.chips.located import Located
from modelbuild.chips.recipe import Unit
from modelbuild.errors import ModelbuildError, Problem

UNITS: tuple[str, ...] = get_args(Unit)
_INHERITED = "inherited"
_ORDER = ("fused", "npu", "cpu")  # the first rule that holds wins


def problems(table: Located) -> Iterator[Problem]:
    """What is wrong with the form of an operator table."""
    if not isinstance(table.value, dict):
        yield Problem("`operators` must be a mapping", table.where, advice="see docs/chips.md")
        return
    for unit, operators in table.value.items():
        if unit == "source" and isinstance(operators.value, str):
            continue
        if unit not in UNITS:
            yield Problem(f"unknown unit `{unit}`", operators.where, advice=f"units are {', '.join(UNITS)}")
        elif not isinstance(operators.value, dict):
            yield Problem(f"`{unit}` must map operators to forms", operators.where)
        else:
            for name, forms in operators.value.items():
                yield from _form_problems(name, forms)


def _form_problems(name: str, forms: Located) -> Iterator[Problem]:
    for form in _forms(forms):
        if isinstance(form.value, dict):
            yield from conditions.problems(form)
        else:
            yield Problem(
                f"the rule of `{name}` must be a mapping of conditions, or a list of them",
                form.where,
                advice="{} is the rule without conditions",
            )


def rules(table: Located) -> Located:
    """The table as a list of `OperatorRule` mappings: fused before npu before cpu, operators by name."""
    listed: list[Located] = []
    for unit in _ORDER:
        written = table.entries.get("source", Located("", table.where))
        source = table.entries.get(_source_of(unit), written)
        operators = table.entries.get(unit, Located({}, table.where)).entries
        for name in sorted(operators):
            for form in _forms(operators[name]):
                rule = {
                    "op": Located(name, form.where),
                    "unit": Located(unit, form.where),
                    "when": form,
                    "source": source,
                }
                listed.append(Located(rule, form.where))
    return Located(tuple(listed), table.where)


def edition_problems(editions: Located) -> Iterator[Problem]:
    """What is wrong with the form of `editions`."""
    if not isinstance(editions.value, dict):
        yield Problem("`editions` must map editions to operators", editions.where, advice="see docs/chips.md")
        return
    for name, edition in editions.value.items():
        if set(edition.entries) != {"operators"}:
            yield Problem(
                f"the edition `{name}` must have `operators`, and nothing else",
                edition.where,
                advice="see docs/chips.md",
            )
        else:
            yield from problems(edition.entries["operators"])


def with_inherited(layer: Located, extended: Located) -> Located:
    """The recipe file `layer` with, in place of an edition's `operators: inherited`, the table of the recipe
    that it extends. Raises where that has none."""
    editions = layer.entries.get("editions")
    if editions is None or not editions.entries:
        return layer
    filled = {name: _filled(edition, extended) for name, edition in editions.entries.items()}
    return Located({**layer.entries, "editions": Located(filled, editions.where)}, layer.where)


def _filled(edition: Located, extended: Located) -> Located:
    written, table = edition.entries.get("operators"), extended.entries.get("operators")
    if written is None or written.value != _INHERITED:
        return edition
    if table is None:
        raise ModelbuildError(
            "no operators are inherited", where=written.where, why="no recipe that it extends has any"
        )
    return Located({**edition.entries, "operators": table}, edition.where)


def laid_on(table: Located, edition: Located) -> Located:
    """The table of an edition: its own units, and the other units of the default one with their source."""
    own = edition.entries["operators"].entries
    units = {unit: rules for unit, rules in table.entries.items() if unit in UNITS and unit not in own}
    source = table.entries.get("source", Located("", table.where))
    return Located({**own, **units, **{_source_of(unit): source for unit in units}}, edition.where)


def _source_of(unit: str) -> str:
    return f"source of {unit}"


def _forms(value: Located) -> tuple[Located, ...]:
    return value.value if isinstance(value.value, tuple) else (value,)
