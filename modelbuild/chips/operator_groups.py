"""Named lists of operators in a recipe file, written out wherever its operator tables name them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from modelbuild.chips.located import Located
from modelbuild.errors import ModelbuildError, Problem, did_you_mean

KEY = "operator_groups"
_OF_OPERATORS = ("after", "before", "chained")  # the conditions whose argument is a list of operators
Groups = Mapping[str, Located]


def written_out(layer: Located, inherited: Groups) -> tuple[Located, Groups]:
    """A recipe file without its groups, each table with the operators in their place; and the groups that a
    recipe which extends it knows. `inherited` are those of the recipe that it extends itself. Raises a
    `ModelbuildError` that lists groups of a wrong form and names that are none."""
    own = layer.entries.get(KEY, Located({}, layer.where))
    groups: Groups = {**inherited, **own.entries}
    found = [*_problems(own)]
    entries = {key: value for key, value in layer.entries.items() if key != KEY}
    if not found:
        found += _unknown(entries, groups)
    if found:
        raise ModelbuildError.of(found)
    if not groups:
        return layer, groups
    if "operators" in entries:
        entries["operators"] = _table(entries["operators"], groups)
    editions = entries.get("editions")
    if editions is not None and isinstance(editions.value, dict):
        filled = {name: _edition(edition, groups) for name, edition in editions.value.items()}
        entries["editions"] = Located(filled, editions.where)
    return Located(entries, layer.where), groups


def _problems(own: Located) -> Iterator[Problem]:
    if not isinstance(own.value, dict):
        yield Problem(f"`{KEY}` must map names to lists of operators", own.where, advice="see docs/chips.md")
        return
    for name, listed in own.value.items():
        operators = listed.value
        if not name[:1].islower():
            yield Problem(f"the name of the group `{name}` must begin with a small letter", listed.where)
        if not isinstance(operators, tuple) or not all(_is_operator(one) for one in operators):
            yield Problem(f"the group `{name}` must be a list of operators", listed.where)


def _is_operator(one: Located) -> bool:
    return isinstance(one.value, str) and not one.value[:1].islower()


def _unknown(entries: Mapping[str, Located], groups: Groups) -> Iterator[Problem]:
    """Names that stand for no group: operators begin with a capital."""
    for table in _tables(entries):
        for operators in table.entries.values():
            names = [(name, forms.where) for name, forms in operators.entries.items()]
            for forms in operators.entries.values():
                names += [(str(one.value), one.where) for one in _listed(forms)]
            for name, where in names:
                if name[:1].islower() and name not in groups:
                    yield Problem(f"unknown group `{name}`", where, advice=did_you_mean(name, groups))


def _tables(entries: Mapping[str, Located]) -> Iterator[Located]:
    if "operators" in entries:
        yield entries["operators"]
    if "editions" in entries:
        for edition in entries["editions"].entries.values():
            yield edition.entries.get("operators", Located({}, edition.where))


def _listed(forms: Located) -> Iterator[Located]:
    """What the conditions on other operators name."""
    for form in _several(forms):
        for name in _OF_OPERATORS:
            yield from _several(form.entries.get(name, Located((), form.where)))


def _edition(edition: Located, groups: Groups) -> Located:
    table = edition.entries.get("operators")
    if table is None:
        return edition
    return Located({**edition.entries, "operators": _table(table, groups)}, edition.where)


def _table(table: Located, groups: Groups) -> Located:
    if not isinstance(table.value, dict):
        return table
    units = {unit: _unit(operators, groups) for unit, operators in table.value.items()}
    return Located(units, table.where)


def _unit(operators: Located, groups: Groups) -> Located:
    """The forms of each operator: of every group that it belongs to, and its own, as they stand."""
    if not isinstance(operators.value, dict):
        return operators
    found: dict[str, Located] = {}
    for name, forms in operators.value.items():
        out = _forms(forms, groups)
        for operator in _members(Located(name, forms.where), groups):
            before = found.get(str(operator.value))
            found[str(operator.value)] = out if before is None else _joined(before, out)
    return Located(found, operators.where)


def _joined(before: Located, after: Located) -> Located:
    return Located((*_several(before), *_several(after)), before.where)


def _forms(forms: Located, groups: Groups) -> Located:
    if isinstance(forms.value, tuple):
        return Located(tuple(_form(form, groups) for form in forms.value), forms.where)
    return _form(forms, groups)


def _form(form: Located, groups: Groups) -> Located:
    if not isinstance(form.value, dict):
        return form
    conditions = {
        name: _names(argument, groups) if name in _OF_OPERATORS else argument
        for name, argument in form.value.items()
    }
    return Located(conditions, form.where)


def _names(argument: Located, groups: Groups) -> Located:
    if not isinstance(argument.value, tuple):
        return argument
    return Located(tuple(one for name in argument.value for one in _members(name, groups)), argument.where)


def _members(name: Located, groups: Groups) -> tuple[Located, ...]:
    """The operators that a name stands for: those of the group, or itself."""
    group = groups.get(str(name.value))
    return (name,) if group is None or not isinstance(group.value, tuple) else group.value


def _several(value: Located) -> tuple[Located, ...]:
    return value.value if isinstance(value.value, tuple) else (value,)
