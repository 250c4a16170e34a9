"""What an error says of a manifest, in the words of a verb that has none: its options."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from modelbuild.errors import ModelbuildError, Problem
from modelbuild.graph.edit_places import number_at

_PREFIX = re.compile(r"edit \d+ \(`\w+`\): ")


class Said(NamedTuple):
    """What stood for an edit: an option, or the place in a file."""

    where: str
    edit: Mapping[str, Any]


def spoken(error: ModelbuildError, edits: Sequence[Said] = ()) -> ModelbuildError:
    """The error with options in place of a manifest's keys. `edits` is what stood for each edit."""
    return ModelbuildError.of((_spoken(problem, edits) for problem in error.problems), error.exit_code)


def _spoken(problem: Problem, edits: Sequence[Said]) -> Problem:
    key, _, name = problem.where.partition(".")
    number = number_at(problem.where)
    where, what, advice = problem.where, problem.what, problem.advice
    if key == "inputs":
        where, advice = f"--input {name}", advice.replace("`shape: ", f"`{name}: ")
    elif number is not None and edits:
        where = edits[number - 1 if number > 0 else number].where
        what = _PREFIX.sub("", what) if where.startswith("-") else what
    return problem._replace(where=where, what=_worded(what), why=_worded(problem.why), advice=_worded(advice))


def _worded(text: str) -> str:
    for pattern, replacement in _WORDS:
        text = pattern.sub(replacement, text)
    return text


def _sizes(text: str) -> str:
    return text.replace(" ", "").replace("?", "<?>").replace("<<?>>", "<?>")


def _names(text: str) -> str:
    return "NAME" if text.strip() == "..." else text.replace(" ", "")


_CUT = r"(?:edit: )?\[?\{?cut: \{(inputs|outputs): \[([^\]]*)\]\}\}?\]?"
# what an importer or a pass says of a manifest -> what the command line calls it
_WORDS: Sequence[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]]] = (
    (
        re.compile(r"write into models\.yaml: `inputs: \{([^:]+): \{shape: \[([^\]]*)\]\}\}`"),
        lambda found: f"say it: --input {found[1]}={_sizes(found[2])}",
    ),
    (re.compile(r"`([^`]+): \[([^\]]*)\]`"), lambda found: f"--input {found[1]}={_sizes(found[2])}"),
    (re.compile(rf"`{_CUT}`|\({_CUT}\)"), lambda found: _cut(found)),
    (re.compile(r"\(edit: cut: outputs\)"), "(--cut-outputs NAME)"),
    (re.compile(r"\(edit: cut: outputs names those to keep\)"), "(--cut-outputs names those to keep)"),
    (re.compile(r"`(?:edit: )?\[?\{?tail: auto\}?\]?`|\(edit: \[\{tail: auto\}\]\)"), "--tail auto"),
    (re.compile(r"`remove: \{types: \[([^\]]*)\]\}`"), lambda found: f"--remove-type {_names(found[1])}"),
    (
        re.compile(r"`optimize: \{skip: \[([^\]]*)\]\}`"),
        lambda found: f"--skip {found[1].replace('...', 'PASS')}",
    ),
    (re.compile(r"`weights: [^`]*` in models\.yaml, or `(--weights FILE)`"), r"\1"),
    (re.compile(r"`source: (\S+)` and `weights: (\S+)`"), r"\1 --weights \2"),
    (re.compile(r"`weights`"), "--weights"),
)


def _cut(found: re.Match[str]) -> str:
    kind, names = (found[1], found[2]) if found[1] else (found[3], found[4])
    text = f"--cut-{kind} {_names(names)}"
    return f"({text})" if found[0].startswith("(") else text
