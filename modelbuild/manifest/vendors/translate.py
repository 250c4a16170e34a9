"""One layer of settings in vendors' names -> the same in our own. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from modelbuild.errors import Problem
from modelbuild.manifest.merge import Leaf, Tree, leaves, merge, values
from modelbuild.manifest.vendors import SECTIONS
from modelbuild.manifest.vendors.knob import Knob, NotBuilt, Path, Said, Senseless

Json = Any
_COMPILE = "compile."


@dataclass(frozen=True)
class Note:
    """A vendor's name that is taken for a setting of ours, and what its users should know."""

    what: str
    origin: str
    advice: str


@dataclass(frozen=True)
class Layer:
    """Settings of one place, or of several that were merged, what is wrong with them, and what to know."""

    tree: Tree
    problems: tuple[Problem, ...] = ()
    notes: tuple[Note, ...] = ()

    def under(self, higher: Layer) -> Layer:
        """With `higher` laid over it."""
        merged = merge(self.tree, higher.tree)
        return Layer(merged, (*self.problems, *higher.problems), (*self.notes, *higher.notes))


def translated(tree: Tree) -> Layer:
    """The layer in our words. Values keep the place where they were written and how they were spelt.

    What is implied gives way to what is written in the same layer. Two spellings of one key that disagree are
    a problem, and so is what has no counterpart."""
    written = {
        section: item
        for section, knobs in SECTIONS.items()
        if isinstance(item := tree.get(section), dict) and item.keys() & knobs.keys()
    }
    if not written:
        return Layer(tree)
    ours: Tree = {
        section: {key: item for key, item in given.items() if key not in SECTIONS[section]}
        for section, given in written.items()
    }
    work = _Translation({**tree, **ours})
    said = [one for section, given in written.items() for one in _said(work, given, SECTIONS[section])]
    for leaf, one in said:
        work.write(leaf, one.written)
    for leaf, one in said:
        work.imply(leaf, one.implied)
    return Layer(work.tree, tuple(work.problems), tuple(work.notes))


def _said(work: _Translation, given: Tree, knobs: Mapping[str, Knob]) -> Iterator[tuple[Leaf, Said]]:
    """What each of the vendors' names in a section says; what says nothing becomes a problem."""
    for key, knob in knobs.items():
        if key not in given:
            continue
        leaf = _whole(key, given[key])
        try:
            said = knob.said(_given(knob, given) if knob.beside else leaf.value)
            work.note(leaf, said, knob)
            yield leaf, said
        except NotBuilt as error:
            work.refuse(leaf, error.advice)
        except Senseless as error:
            what = error.what or f"{leaf.spelling} has no meaning"
            work.problems.append(Problem(what, leaf.origin, error.why, error.advice))


def _given(knob: Knob, given: Tree) -> dict[str, Json]:
    """The values of a knob and of those that it goes together with."""
    names = [name for name in (knob.name, *knob.beside) if name in given]
    return {name: _whole(name, given[name]).value for name in names}


class _Translation:
    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.problems: list[Problem] = []
        self.notes: list[Note] = []

    def note(self, leaf: Leaf, said: Said, knob: Knob) -> None:
        """That an option of compiling has another name here."""
        ours = [
            _shown(path.removeprefix(_COMPILE), value)
            for path, value in said.written.items()
            if isinstance(path, str) and path.startswith(_COMPILE)
        ]
        if ours and len(ours) == len(said.written):
            advice = "; ".join(filter(None, (f"write {' and '.join(ours)} under `compile:`", knob.note)))
            self.notes.append(Note(f"{leaf.spelling} is {' and '.join(ours)} here", leaf.origin, advice))

    def refuse(self, leaf: Leaf, advice: str) -> None:
        self.problems.append(Problem(f"{leaf.spelling} is not built yet", leaf.origin, advice=advice))

    def write(self, leaf: Leaf, said: Mapping[Path, Json]) -> None:
        for path, value in said.items():
            steps = _steps(path)
            there = self._at(steps)
            if isinstance(there, Leaf) and there.value not in (None, value):
                self.problems.append(
                    Problem(
                        f"{leaf.spelling} contradicts {there.spelling or _shown(steps[-1], there.value)}",
                        leaf.origin,
                        f"both set `{'.'.join(steps)}`; the other is at {there.origin}",
                        "keep one of the two",
                    )
                )
            elif not isinstance(there, Leaf) or there.value is None:
                self._put(steps, _at_once(value, leaf))

    def imply(self, leaf: Leaf, said: Mapping[Path, Json]) -> None:
        for path, value in said.items():
            if self._at(_steps(path)) is None:
                self._put(_steps(path), Leaf(value, leaf.origin, leaf.spelling, implied=True))

    def _at(self, path: tuple[str, ...]) -> Tree | Leaf | None:
        here: Tree | Leaf | None = self.tree
        for step in path:
            here = here.get(step) if isinstance(here, dict) else None
        return here

    def _put(self, path: tuple[str, ...], leaf: Tree | Leaf) -> None:
        *parents, last = path
        here = self.tree = dict(self.tree)
        for step in parents:
            below = here.get(step)
            here[step] = dict(below) if isinstance(below, dict) else {}
            here = here[step]  # type: ignore[assignment]
        here[last] = leaf


def _whole(key: str, item: Tree | Leaf) -> Leaf:
    """The value with its place; of a mapping, the place of its first leaf."""
    value = item.value if isinstance(item, Leaf) else values(item)
    origin = next((leaf.origin for _, leaf in leaves(item)), "")
    return Leaf(value, origin, _shown(key, value))


def _at_once(value: Json, leaf: Leaf) -> Tree | Leaf:
    """A value of ours with the place and spelling of the vendor's."""
    if isinstance(value, Mapping):
        return {key: _at_once(item, leaf) for key, item in value.items()}
    return Leaf(value, leaf.origin, leaf.spelling)


def _steps(path: Path) -> tuple[str, ...]:
    return tuple(path.split(".")) if isinstance(path, str) else path


def _shown(key: str, value: Json) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return f"`{key}: {text}`"
