"""What an error says of a manifest, in the words of a verb that has none: its options."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from modelbuild.errors import ModelbuildError, Problem
from modelbuild.graph.edit_places import number_at

_PREFIX = re.compile(r"edit \d+ \(`\w+`\): ")


class Said(NamedTuple):
    """What stood for an edit: an option, or the place in a file."""

    where: str
    edit: Mapping[str, Any]


@contextmanager
def spoken(edits: Sequence[Said] = (), sized_by: str = "") -> Iterator[None]:
    """Errors have options in place of a manifest's keys. `edits` is what stood for each edit, `sized_by` the
    command that fixes the sizes of inputs, where the verb's own `--input` does not."""
    try:
        yield
    except ModelbuildError as error:
        problems = (_spoken(problem, edits, sized_by) for problem in error.problems)
        raise ModelbuildError.of(problems, error.exit_code) from None


def _spoken(problem: Problem, edits: Sequence[Said], sized_by: str) -> Problem:
    key, _, name = problem.where.partition(".")
    number = number_at(problem.where)
    where, what, advice = problem.where, problem.what, problem.advice
    if key == "inputs":
        where, advice = f"--input {name}", advice.replace("`shape: ", f"`{name}: ")
    elif number is not None and edits:
        where = edits[number - 1 if number > 0 else number].where
        what = _PREFIX.sub("", what) if where.startswith("-") else what
    if sized_by:
        advice = _SHAPE.sub(
            lambda found: f"run `{sized_by} --input NAME={_sizes(found[1])}` and name OUT.onnx", advice
        )
    what, why, advice = map(_worded, (what, problem.why, advice))
    if sized_by and advice.startswith(_SAY):
        advice = f"fix it: `{sized_by} {advice.removeprefix(_SAY)}`, and name OUT.onnx"
    return problem._replace(where=where, what=what, why=why, advice=advice)


def _worded(text: str) -> str:
    for pattern, replacement in _WORDS:
        text = pattern.sub(replacement, text)
    return text


def _sizes(text: str) -> str:
    return text.replace(" ", "").replace("?", "<?>").replace("<<?>>", "<?>")


def _names(text: str) -> str:
    return "NAME" if text.strip() == "..." else text.replace(" ", "")


_SAY = "say it: "
_SHAPE = re.compile(r"write `shape: \[([^\]]*)\]`")
_CUT = r"(?:edit: )?\[?\{?cut: \{(inputs|outputs): \[([^\]]*)\]\}\}?\]?"
# what an importer or a pass says of a manifest -> what the command line calls it
_WORDS: Sequence[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]]] = (
    (
        re.compile(r"write into models\.yaml: `inputs: \{([^:]+): \{shape: \[([^\]]*)\]\}\}`"),
        lambda found: f"{_SAY}--input {found[1]}={_sizes(found[2])}",
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
