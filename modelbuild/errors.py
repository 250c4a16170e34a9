"""The one exception type: what went wrong, where, why, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple, Self

EXIT_FAILED = 1
EXIT_USER = 2
EXIT_INTERRUPTED = 130


class Problem(NamedTuple):  # no dataclass: importing those takes longer than a build with nothing to do
    """One thing that is wrong. `where` is `file:line:col`, a node, a field or an offset in a file."""

    what: str
    where: str = ""
    why: str = ""
    advice: str = ""
    code: str = ""

    def __str__(self) -> str:
        head = self._head()
        if self.code:
            head += f" [{self.code}]"
        lines = [head]
        if self.why:
            lines.append(f"  why: {self.why}")
        if self.advice:
            lines.append(f"  do:  {self.advice}")
        return "\n".join(lines)

    def _head(self) -> str:
        """Where and what; a file that both begin with is named once."""
        if not self.where:
            return self.what
        for end, letter in enumerate(self.what):
            name = self.what[:end]
            if (
                letter == " "
                and self.where.endswith(name)
                and self.where[: -len(name)][-1:] in ("", "/", " ")
            ):
                return self.where + self.what[end:]
        return f"{self.where}: {self.what}"


def in_file(error: ModelbuildError, path: object) -> ModelbuildError:
    """The error of a file's content with the file's name in front of where it is."""
    name = str(path)
    named = [
        problem
        if problem.where.startswith(name)
        else problem._replace(where=f"{name}: {problem.where}" if problem.where else name)
        for problem in error.problems
    ]
    return ModelbuildError.of(named, error.exit_code)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """ "did you mean `kl720`?" for the nearest of the known names, or nothing where none is near.

    Of equally near ones, that with the same letters wins: exchanged letters are the commonest slip."""
    import difflib  # only where something is wrong already

    names = {name.lower(): name for name in sorted(known)}
    near = difflib.get_close_matches(word.lower(), names, n=5)
    if not near:
        return ""
    exchanged = (name for name in near if sorted(name) == sorted(word.lower()))
    return f"did you mean `{names[next(exchanged, near[0])]}`?"


class ModelbuildError(Exception):
    """Carries one or more problems; `exit_code` is 2 for what the user supplied, 1 for what failed.

    `passing`: the same may succeed the next time although nothing changed, so no build remembers it."""

    def __init__(
        self,
        what: str,
        *,
        where: str = "",
        why: str = "",
        advice: str = "",
        code: str = "",
        exit_code: int = EXIT_USER,
        passing: bool = False,
    ) -> None:
        self.problems: tuple[Problem, ...] = (Problem(what, where, why, advice, code),)
        self.exit_code = exit_code
        self.passing = passing
        super().__init__(what)

    @classmethod
    def of(cls, problems: Iterable[Problem], exit_code: int = EXIT_USER) -> Self:
        """An error of several problems, reported in one run."""
        listed = tuple(problems)
        error = cls(listed[0].what, exit_code=exit_code)
        error.problems = listed
        return error

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)

    def to_json(self) -> dict[str, object]:
        """The form that crosses a process boundary or is stored."""
        return {"exit_code": self.exit_code, "problems": [problem._asdict() for problem in self.problems]}

    @classmethod
    def from_json(cls, data: Mapping[str, object]) -> Self:
        """The inverse of `to_json`."""
        problems = data["problems"]
        exit_code = data["exit_code"]
        assert isinstance(problems, list) and isinstance(exit_code, int)
        return cls.of((Problem(**problem) for problem in problems), exit_code)
