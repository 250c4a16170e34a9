"""Merged settings -> their one canonical form, and what a chip or a toolchain cannot do of them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from modelbuild.chips import pass_names
from modelbuild.chips.recipe import Recipe
from modelbuild.errors import Problem
from modelbuild.manifest import edits, ignored
from modelbuild.manifest.merge import Leaf, Tree
from modelbuild.manifest.problems import nearest

DEFAULT_PERCENTILE = 99.99
BUILT_IN = "built in"
MIXED = "mixed"  # bits chosen a layer at a time, where a chip has several number formats


def canonical(merged: Tree, recipe: Recipe, toolchain: str) -> tuple[Tree, list[Problem]]:
    """Short forms written out, choices made, bounds taken away dropped, keys that mean nothing refused."""
    problems: list[Problem] = []
    return {
        "accept": _accept(_mapping(merged, "accept")),
        "calibration": _choice("calibration", merged["calibration"], problems),
        "checks": _checks(_mapping(merged, "checks")),
        "compile": _compile(_mapping(merged, "compile"), toolchain, problems),
        "edit": _edit(merged["edit"]),
        "evaluation": _choice("evaluation", merged["evaluation"], problems),
        "optimize": _optimize(_mapping(merged, "optimize"), recipe, problems),
        "quantize": _quantize(_mapping(merged, "quantize"), recipe, problems),
        "toolchain_options": _toolchain_options(_mapping(merged, "toolchain_options"), toolchain, problems),
        "verify": dict(_mapping(merged, "verify")),
    }, problems


def _mapping(tree: Tree, key: str) -> Tree:
    found = tree.get(key, {})
    return found if isinstance(found, dict) else {}


def _leaf(tree: Tree, key: str) -> Leaf:
    found = tree[key]
    assert isinstance(found, Leaf)
    return found


def _accept(accept: Tree) -> Tree:
    kept: Tree = {}
    for key, bound in sorted(accept.items()):
        if isinstance(bound, dict):
            outputs: Tree = {name: leaf for name, leaf in sorted(bound.items()) if _value(leaf) is not None}
            if outputs:
                kept[key] = outputs
        elif bound.value is not None:
            kept[key] = bound
    return kept


def _checks(checks: Tree) -> Tree:
    ignore = _leaf(checks, "ignore")
    return {"ignore": Leaf(ignored.canonical(ignore.value), ignore.origin)}


def _value(item: Tree | Leaf) -> Any:
    return item.value if isinstance(item, Leaf) else item


def _choice(key: str, choice: Tree | Leaf, problems: list[Problem]) -> Tree | Leaf:
    """{set, count}, or nothing; a count of None means every sample."""
    if isinstance(choice, Leaf):
        return choice
    name, count = choice.get("set"), choice.get("count")
    if isinstance(name, Leaf) and name.value is not None:
        return {"count": count or Leaf(None, name.origin), "set": name}
    origin = count.origin if isinstance(count, Leaf) else BUILT_IN
    problems.append(Problem(f"`{key}` has a count and no set", origin, advice=f"add `set:` to `{key}`"))
    return Leaf(None, origin)


def _compile(options: Tree, toolchain: str, problems: list[Problem]) -> Tree:
    """The builtin compiler runs one picture at a time, so that its options have no batch."""
    if toolchain != "builtin":
        return dict(options)
    batch = _leaf(options, "batch")
    if batch.value != 1:
        problems.append(
            Problem(
                f"`batch: {batch.value}` is not built yet",
                batch.origin,
                "programs of the builtin toolchain run one picture at a time",
                "remove it, or write `batch: 1`",
            )
        )
    return {key: leaf for key, leaf in sorted(options.items()) if key != "batch"}


def _edit(edit: Tree | Leaf) -> Leaf:
    assert isinstance(edit, Leaf)
    return Leaf([edits.canonical(item) for item in edit.value], edit.origin)


def _optimize(optimize: Tree, recipe: Recipe, problems: list[Problem]) -> Tree:
    skip, only, paranoid = _leaf(optimize, "skip"), _leaf(optimize, "only"), optimize.get("paranoid")
    known = pass_names.for_recipe(recipe.passes)
    takes = {"skip": [name for name in known if name not in pass_names.REQUIRED], "only": known}
    for key, leaf in (("skip", skip), ("only", only)):
        problems += [
            Problem(
                f"`{key}`: {recipe.chip} has no pass `{name}`",
                leaf.origin,
                advice=nearest(pass_names.base(name), takes[key], f"passes for {recipe.chip}"),
            )
            for name in leaf.value or ()
            if name not in known
        ]
    problems += [
        Problem(
            f"`skip`: `{name}` cannot be left out",
            skip.origin,
            pass_names.REQUIRED[name],
            f"those that can: {', '.join(takes['skip'])}",
        )
        for name in skip.value
        if name in pass_names.REQUIRED
    ]
    if skip.value and only.value is not None:
        problems.append(
            Problem(
                "`skip` beside `only`", only.origin, f"`skip` is set at {skip.origin}", "keep one of the two"
            )
        )
    ordered = None if only.value is None else [name for name in known if name in only.value]
    chosen: Tree = {"only": Leaf(ordered, only.origin), "skip": Leaf(sorted(set(skip.value)), skip.origin)}
    return {**chosen, "paranoid": paranoid} if isinstance(paranoid, Leaf) and paranoid.value else chosen


def _quantize(quantize: Tree, recipe: Recipe, problems: list[Problem]) -> Tree:
    has = recipe.number_format
    chosen: Tree = {
        "activations": _format(
            "activations", _leaf(quantize, "activations"), has.activations, recipe, problems
        ),
        "weights": _format("weights", _leaf(quantize, "weights"), has.weights, recipe, problems),
        "range": _range(_mapping(quantize, "range"), problems),
    }
    record = quantize.get("record")
    if isinstance(record, Leaf):
        chosen["record"] = record
    return chosen


def _format(what: str, leaf: Leaf, has: Sequence[str], recipe: Recipe, problems: list[Problem]) -> Leaf:
    """The first of the choices that the chip has."""
    possible = [choice for choice in leaf.value if choice in has or (choice == MIXED and len(has) > 1)]
    if not possible:
        asked = " or ".join(leaf.value)
        problems.append(
            Problem(
                f"{asked} {what} are not possible on {recipe.chip}",
                leaf.origin,
                f"it has {', '.join(has)}",
                f"write `{what}: {has[0]}`, or choose another chip",
            )
        )
    elif possible[0] == MIXED:
        problems.append(
            Problem(f"mixed {what} are not built yet", leaf.origin, advice=f"choose one of {', '.join(has)}")
        )
    return Leaf(possible[0] if possible else has[0], leaf.origin)


def _range(range_: Tree, problems: list[Problem]) -> Tree:
    method = _leaf(range_, "method")
    percentile = range_.get("percentile")
    if method.value == "percentile":
        return {"method": method, "percentile": percentile or Leaf(DEFAULT_PERCENTILE, BUILT_IN)}
    if isinstance(percentile, Leaf):
        problems.append(
            Problem(
                f"`percentile` has no meaning for the range method {method.value}",
                percentile.origin,
                f"the method is set at {method.origin}"
                if method.origin != BUILT_IN
                else "that is the method built in",
                "write `method: percentile` beside it, or remove it",
            )
        )
    return {"method": method}


def _toolchain_options(options: Tree, toolchain: str, problems: list[Problem]) -> Tree:
    if toolchain == "builtin":
        for key, item in options.items():
            origin = item.origin if isinstance(item, Leaf) else next(iter(_origins(item)), "")
            problems.append(
                Problem(
                    f"`toolchain_options`: the builtin toolchain has no option `{key}`",
                    origin,
                    "",
                    "remove it",
                )
            )
    return dict(sorted(options.items()))


def _origins(tree: Tree) -> list[str]:
    return [
        origin
        for item in tree.values()
        for origin in ([item.origin] if isinstance(item, Leaf) else _origins(item))
    ]
