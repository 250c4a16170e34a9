"""Finds a recipe by chip name, alias or path, lays it on the recipes that it extends, and checks it."""

from __future__ import annotations

import functools
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from modelbuild import resources
from modelbuild.chips import operator_groups, operators, pass_names
from modelbuild.chips.located import Located, merge, parse, place, plain
from modelbuild.chips.recipe import Container, Edition, Fact, Hardware, NumberFormat, OperatorRule, Recipe
from modelbuild.errors import ModelbuildError, Problem, did_you_mean

_SUFFIXES = (".yaml", ".yml")
_OWN = ("chip", "aliases", "extends")  # what a recipe does not inherit
_SCHEMA = (Recipe, Container, Edition, Fact, Hardware, NumberFormat, OperatorRule)
_MAX_BYTES = 1_000_000


@dataclass(frozen=True)
class _File:
    """A recipe file: where it is, and the name that messages show."""

    path: Path
    shown: str


def chip_names() -> list[str]:
    """The chips that recipes are there for, sorted."""
    return sorted(path.stem for path in resources.folder("recipes").glob("*.yaml"))


def load_recipe(name_or_path: str, base: Path | None = None, edition: str | None = None) -> Recipe:
    """The recipe of a chip (`kl720`, or an alias such as `720`), or of a recipe file given as a path from
    `base`, with the operators of an edition of its toolchain, the newest unless told. Raises a
    `ModelbuildError` that lists every problem with `file:line:column`."""
    merged = _read_chain(_find(name_or_path, base))
    found = [*_operator_problems(merged), *_pass_problems(merged)]
    if found:
        raise ModelbuildError.of(found)
    located = _flatten(_with_passes(_with_edition(merged, edition, name_or_path)))
    try:
        return Recipe.model_validate_json(json.dumps(plain(located)))
    except ValidationError as error:
        raise ModelbuildError.of(_problem(located, dict(item)) for item in error.errors()) from None


def recipes_digest() -> str:
    """The SHA-256 of all recipes that are installed: what depends on the other chips depends on it."""
    digest = hashlib.sha256()
    folder = resources.folder("recipes")
    for path in sorted(folder.rglob("*.yaml")):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(folder).as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def recipe_files(name_or_path: str, base: Path | None = None) -> tuple[Path, ...]:
    """The files that `load_recipe` reads for a recipe, itself first, then what it extends."""
    found: list[Path] = []
    current: _File | None = _find(name_or_path, base)
    while current is not None:
        found.append(current.path)
        current = _extended(current, _read(current))
    return tuple(found)


def _find(name: str, base: Path | None) -> _File:
    if name.endswith(_SUFFIXES) or "/" in name:
        return _File((base or Path()) / name, name)
    folder = resources.folder("recipes")
    wanted = name.lower()
    names = chip_names()
    chip = wanted if wanted in names else _aliases(folder).get(wanted)  # which reads all recipes
    if chip is None:
        hint = did_you_mean(wanted, [*names, *_aliases(folder)])
        raise ModelbuildError(
            f"unknown chip `{name}`", advice=f"{hint} chips are {', '.join(names)}".lstrip()
        )
    return _File(folder / f"{chip}.yaml", f"recipes/{chip}.yaml")


@functools.cache
def _aliases(folder: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for path in sorted(folder.glob("*.yaml")):
        entries = _read(_File(path, f"recipes/{path.name}")).entries
        listed = plain(entries["aliases"]) if "aliases" in entries else []
        assert isinstance(listed, list)
        found.update({str(alias): path.stem for alias in listed})
    return found


def _read_chain(first: _File) -> Located:
    """The file laid on what it extends."""
    layers: list[Located] = []
    files: list[_File] = []
    current: _File | None = first
    while current is not None:
        if any(current.path.resolve() == file.path.resolve() for file in files):
            circle = " -> ".join([*(file.shown for file in files), current.shown])
            raise ModelbuildError("recipes extend each other in a circle", where=files[-1].shown, why=circle)
        layer = _read(current)
        layers.append(layer)
        files.append(current)
        current = _extended(current, layer)
    merged = Located({}, layers[-1].where)
    groups: operator_groups.Groups = {}
    for depth, layer in reversed(list(enumerate(layers))):
        dropped = ("extends",) if depth == 0 else _OWN
        layer, groups = operator_groups.written_out(layer, groups)
        kept = {key: value for key, value in layer.entries.items() if key not in dropped}
        merged = merge(merged, operators.with_inherited(Located(kept, layer.where), merged))
    return merged


def _extended(file: _File, layer: Located) -> _File | None:
    extends = layer.entries.get("extends")
    if extends is None:
        return None
    if not isinstance(extends.value, str):
        raise ModelbuildError("`extends` must be a chip or the path of a recipe", where=extends.where)
    if not extends.value.endswith(_SUFFIXES):
        try:
            return _find(extends.value, None)
        except ModelbuildError as error:
            problem = error.problems[0]
            raise ModelbuildError(problem.what, where=extends.where, advice=problem.advice) from None
    parent = Path(file.shown).parent / extends.value
    return _File(file.path.parent / extends.value, parent.as_posix())


def _read(file: _File) -> Located:
    try:
        with file.path.open("rb") as stream:
            data = stream.read(_MAX_BYTES + 1)
        if len(data) > _MAX_BYTES:
            raise ModelbuildError(f"a recipe has at most {_MAX_BYTES} bytes", where=file.shown)
        text = data.decode("utf-8")
    except OSError as error:
        raise ModelbuildError("cannot read the recipe", where=file.shown, why=str(error.strerror)) from None
    except UnicodeDecodeError:
        raise ModelbuildError("the recipe is not UTF-8 text", where=file.shown) from None
    root = parse(text, file.shown)
    if not isinstance(root.value, dict):
        raise ModelbuildError("a recipe must be a mapping", where=root.where, advice="see docs/chips.md")
    return root


def _operator_problems(merged: Located) -> list[Problem]:
    table, editions = merged.entries.get("operators"), merged.entries.get("editions")
    found = list(operators.problems(table)) if table is not None else []
    return found + (list(operators.edition_problems(editions)) if editions is not None else [])


def _pass_problems(merged: Located) -> list[Problem]:
    listed = [merged.entries[key].value for key in ("own_passes", "passes") if key in merged.entries]
    entries = [entry for value in listed if isinstance(value, tuple) for entry in value]
    found = (pass_names.wrong(str(entry.value), entry.where) for entry in entries)
    return [problem for problem in found if problem is not None]


def _with_edition(merged: Located, wanted: str | None, chip: str) -> Located:
    """`edition` and `operators` as wanted, under `editions` the tables of all others, the default first."""
    entries = dict(merged.entries)
    others = dict(entries.pop("editions").entries) if "editions" in entries else {}
    default, table = entries.get("edition"), entries.get("operators", Located({}, merged.where))
    tables = {str(default.value): table} if default else {}
    tables.update({name: operators.laid_on(table, other) for name, other in others.items()})
    if wanted is not None and wanted not in tables:
        hint = did_you_mean(wanted, tables)
        raise ModelbuildError(
            f"{chip} has no edition `{wanted}`",
            advice=f"{hint} its editions are {', '.join(tables) or 'none'}".lstrip(),
        )
    if default is None or not others:
        return Located(entries, merged.where)
    chosen = wanted or str(default.value)
    rest = tuple(
        Located({"edition": Located(name, other.where), "operators": other}, other.where)
        for name, other in tables.items()
        if name != chosen
    )
    entries |= {"edition": Located(chosen, default.where), "operators": tables[chosen]}
    return Located({**entries, "editions": Located(rest, merged.where)}, merged.where)


def _with_passes(merged: Located) -> Located:
    """`own_passes` in front of `passes`: a chip adds to those of its family without repeating them. A pass
    that both name runs in the place that the chip gives it."""
    entries = dict(merged.entries)
    own, passes = entries.get("own_passes"), entries.get("passes")
    if own is None or passes is None or not isinstance(passes.value, tuple):
        return merged
    if not isinstance(own.value, tuple):
        raise ModelbuildError("`own_passes` must be a list of passes", where=own.where)
    del entries["own_passes"]
    named = {entry.value for entry in own.value}
    rest = (entry for entry in passes.value if entry.value not in named)
    entries["passes"] = Located((*own.value, *rest), passes.where)
    return Located(entries, merged.where)


def _flatten(merged: Located) -> Located:
    """Operator tables as lists of rules."""
    entries = dict(merged.entries)
    if "operators" in entries:
        entries["operators"] = operators.rules(entries["operators"])
    others = entries.get("editions")
    if others is not None and isinstance(others.value, tuple):
        entries["editions"] = Located(tuple(map(_flatten, others.value)), others.where)
    return Located(entries, merged.where)


def _problem(located: Located, error: dict[str, Any]) -> Problem:
    path = error["loc"]
    where = place(located, path)
    shown = ".".join(str(step) for step in path)
    if error["type"] == "extra_forbidden":
        names = sorted({field for model in _SCHEMA for field in model.model_fields})
        return Problem(f"unknown key `{shown}`", where, advice=did_you_mean(str(path[-1]), names))
    if error["type"] == "missing":
        return Problem(f"`{shown}` is missing", where)
    return Problem(f"`{shown}`: {error['msg']}", where)
