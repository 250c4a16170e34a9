"""Merged settings -> their one canonical form, and what a chip or a toolchain cannot do of them. Pure."""

from __future__ import annotations

from typing import Any

from modelbuild.chips import pass_names
from modelbuild.chips.recipe import Recipe
from modelbuild.errors import Problem
from modelbuild.manifest import edits, ignored
from modelbuild.manifest.accept import FUNCTION
from modelbuild.manifest.canonical_compile import canonical_compile
from modelbuild.manifest.canonical_quantize import canonical_quantize
from modelbuild.manifest.merge import Leaf, Tree
from modelbuild.manifest.problems import nearest

BUILT_IN = "built in"


def canonical(merged: Tree, recipe: Recipe, toolchain: str) -> tuple[Tree, list[Problem]]:
    """Short forms written out, choices made, bounds taken away dropped, keys that mean nothing refused."""
    quantize, problems = canonical_quantize(_mapping(merged, "quantize"), recipe)
    return {
        "accept": _accept(_mapping(merged, "accept")),
        "calibration": _choice("calibration", merged["calibration"], problems),
        "checks": _checks(_mapping(merged, "checks")),
        "compile": _compile(_mapping(merged, "compile"), recipe, toolchain, problems),
        "edit": _edit(merged["edit"]),
        "evaluation": _choice("evaluation", merged["evaluation"], problems),
        "optimize": _optimize(_mapping(merged, "optimize"), recipe, problems),
        "quantize": quantize,
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
        if key == FUNCTION and isinstance(bound, dict):
            functions: Tree = {
                spec: of for spec, given in sorted(bound.items()) if (of := _of_function(given))
            }
            kept |= {key: functions} if functions else {}
        elif isinstance(bound, dict):
            outputs: Tree = {name: leaf for name, leaf in sorted(bound.items()) if _value(leaf) is not None}
            if outputs:
                kept[key] = outputs
        elif bound.value is not None:
            kept[key] = bound
    return kept


def _of_function(given: Tree | Leaf) -> Tree:
    """A number alone is what its value is at least."""
    bounds: Tree = {"at_least": given} if isinstance(given, Leaf) else given
    return {key: leaf for key, leaf in sorted(bounds.items()) if _value(leaf) is not None}


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


def _compile(options: Tree, recipe: Recipe, toolchain: str, problems: list[Problem]) -> Tree:
    return canonical_compile(options, recipe, problems) if toolchain == "builtin" else dict(options)


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
