"""Merged settings -> their one canonical form, and what a chip or a toolchain cannot do of them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from modelbuild.chips.recipe import Recipe
from modelbuild.errors import Problem
from modelbuild.manifest.merge import Leaf, Tree
from modelbuild.manifest.problems import nearest

DEFAULT_PERCENTILE = 99.99
BUILT_IN = "built in"
# What the builtin toolchain does of what chips have.
BUILTIN_FORMATS = {"activations": ("int8", "uint8"), "weights": ("int8",)}


def canonical(merged: Tree, recipe: Recipe, toolchain: str) -> tuple[Tree, list[Problem]]:
    """Short forms written out, choices made, bounds taken away dropped, keys that mean nothing refused."""
    problems: list[Problem] = []
    return {
        "accept": _accept(_mapping(merged, "accept")),
        "calibration": _choice(merged["calibration"]),
        "compile": _compile(_mapping(merged, "compile"), toolchain, problems),
        "edit": _edit(merged["edit"]),
        "evaluation": _choice(merged["evaluation"]),
        "optimize": _optimize(_mapping(merged, "optimize"), recipe, problems),
        "quantize": _quantize(_mapping(merged, "quantize"), recipe, toolchain, problems),
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


def _value(item: Tree | Leaf) -> Any:
    return item.value if isinstance(item, Leaf) else item


def _choice(choice: Tree | Leaf) -> Tree | Leaf:
    """`faces` is {set: faces, count: None}; nothing stays nothing."""
    if isinstance(choice, Leaf):
        if choice.value is None:
            return choice
        return {"count": Leaf(None, choice.origin), "set": choice}
    name = choice.get("set")
    origin = name.origin if isinstance(name, Leaf) else BUILT_IN
    return {"count": choice.get("count", Leaf(None, origin)), "set": name or Leaf(None, origin)}


def _compile(compile_: Tree, toolchain: str, problems: list[Problem]) -> Tree:
    batch = _leaf(compile_, "batch")
    if toolchain == "builtin" and batch.value != 1:
        problems.append(
            Problem(
                f"`batch: {batch.value}` is not built yet",
                batch.origin,
                "programs of the builtin toolchain run one picture at a time",
                "remove it, or write `batch: 1`",
            )
        )
    return {"batch": batch}


def _edit(edit: Tree | Leaf) -> Leaf:
    assert isinstance(edit, Leaf)
    return Leaf([_one_edit(item) for item in edit.value], edit.origin)


def _one_edit(item: dict[str, Any]) -> dict[str, Any]:
    if "cut" in item:
        cut = item["cut"]
        return {"cut": {key: list(cut.get(key) or ()) for key in ("inputs", "outputs")}}
    return {"rename": dict(sorted(item["rename"].items()))}


def _optimize(optimize: Tree, recipe: Recipe, problems: list[Problem]) -> Tree:
    skip, only = _leaf(optimize, "skip"), _leaf(optimize, "only")
    for key, leaf in (("skip", skip), ("only", only)):
        problems += [
            Problem(
                f"`{key}`: {recipe.chip} has no pass `{name}`",
                leaf.origin,
                advice=nearest(name, recipe.passes, "passes of the recipe"),
            )
            for name in leaf.value or ()
            if name not in recipe.passes
        ]
    if skip.value and only.value is not None:
        problems.append(
            Problem(
                "`skip` beside `only`", only.origin, f"`skip` is set at {skip.origin}", "keep one of the two"
            )
        )
    ordered = None if only.value is None else [name for name in recipe.passes if name in only.value]
    return {"only": Leaf(ordered, only.origin), "skip": Leaf(sorted(set(skip.value)), skip.origin)}


def _quantize(quantize: Tree, recipe: Recipe, toolchain: str, problems: list[Problem]) -> Tree:
    has = recipe.number_format
    chosen: Tree = {
        "activations": _format(
            "activations", _leaf(quantize, "activations"), has.activations, recipe, toolchain, problems
        ),
        "weights": _format("weights", _leaf(quantize, "weights"), has.weights, recipe, toolchain, problems),
        "range": _range(_mapping(quantize, "range"), problems),
    }
    record = quantize.get("record")
    if isinstance(record, Leaf):
        chosen["record"] = record
    return chosen


def _format(
    what: str, leaf: Leaf, has: Sequence[str], recipe: Recipe, toolchain: str, problems: list[Problem]
) -> Leaf:
    """The first of the choices that the chip has."""
    possible = [choice for choice in leaf.value if choice in has or (choice == "mixed" and len(has) > 1)]
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
        return Leaf(has[0], leaf.origin)
    built = BUILTIN_FORMATS[what]
    if toolchain == "builtin" and possible[0] not in built:
        problems.append(
            Problem(
                f"{possible[0]} {what} are not built yet",
                leaf.origin,
                f"the builtin quantizer does {', '.join(built)}",
                f"write `{what}: {built[0]}`",
            )
        )
    return Leaf(possible[0], leaf.origin)


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
