"""Collects everything that is wrong with a manifest, each with its place, and sorts it by place."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from modelbuild.errors import ModelbuildError, Problem, did_you_mean
from modelbuild.manifest.tree import Position

if TYPE_CHECKING:
    from modelbuild.graph.check import Finding
    from modelbuild.graph.codes import Severity

_LISTED = 24  # names in a piece of advice before it says "and N more"
_PLACE = re.compile(r"(.*?):(\d+)(?::(\d+))?")


def nearest(name: str, known: Iterable[str], what: str, last: Collection[str] = ()) -> str:
    """Advice for an unknown name: the nearest valid one, and all of them where they are few. Those in `last`
    are listed behind the others, all of which are listed then."""
    names = sorted(set(known), key=lambda name: (name in last, name))
    if not names:
        return f"there are no {what}"
    most = max(_LISTED, len(set(names) - set(last))) if last else _LISTED
    listed = ", ".join(names[:most])
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{did_you_mean(name, names)} {what}: {listed}{more}".lstrip()


class Problems:
    """Errors and warnings; the same one at the same place counts once."""

    def __init__(self) -> None:
        self._errors: dict[tuple[str, str], Problem] = {}
        self._warnings: dict[tuple[Position, str], Finding] = {}

    def error(self, what: str, at: Position | str, why: str = "", advice: str = "") -> None:
        """Something that a build cannot go on with."""
        self._errors.setdefault((str(at), what), Problem(what, str(at), why, advice))

    @property
    def count(self) -> int:
        """Errors so far."""
        return len(self._errors)

    def advise(self, first: int, place: str, advice: str) -> None:
        """Adds a piece of advice to the errors from number `first` on whose place begins with `place`."""
        for key in list(self._errors)[first:]:
            if key[0].startswith(place):
                problem = self._errors[key]
                said = "; ".join(filter(None, (problem.advice, advice)))
                self._errors[key] = problem._replace(advice=said)

    def keep_all(self, problems: Iterable[Problem]) -> None:
        """Problems that know their place already."""
        for problem in problems:
            self._errors.setdefault((problem.where, problem.what), problem)

    def adopt(self, error: ModelbuildError, at: Position | str) -> None:
        """Problems that another room found, at the place in the manifest that led there."""
        for problem in error.problems:
            why = ": ".join(part for part in (problem.where, problem.why) if part)
            self.error(problem.what, at, why, problem.advice)

    def warn(self, code: str, message: str, at: Position, advice: str = "") -> None:
        """Something that is probably not meant. Codes are listed in docs/models-yaml.md."""
        self._tell("warning", code, message, at, advice)

    def note(self, code: str, message: str, at: Position, advice: str = "") -> None:
        """Something to know, and nothing to do."""
        self._tell("note", code, message, at, advice)

    def _tell(self, severity: Severity, code: str, message: str, at: Position, advice: str) -> None:
        from modelbuild.graph.check import Finding

        finding = Finding(code, severity, message, advice, "", at.file, at.line or None, at.column or None)
        self._warnings.setdefault((at, message), finding)

    def raise_any(self) -> None:
        """One error of all problems, in the order of the file, if there are any."""
        if self._errors:
            raise ModelbuildError.of(sorted(self._errors.values(), key=_order))

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """The warnings, in the order of the file."""
        return tuple(self._warnings[key] for key in sorted(self._warnings, key=_position_order))


def _order(problem: Problem) -> tuple[str, int, int]:
    match = _PLACE.fullmatch(problem.where)
    return (match[1], int(match[2]), int(match[3] or 0)) if match else (problem.where, 0, 0)


def _position_order(key: tuple[Position, str]) -> tuple[str, int, int, str]:
    return key[0].file, key[0].line, key[0].column, key[1]
