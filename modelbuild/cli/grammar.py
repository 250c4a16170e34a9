"""The one grammar of the command line: what parses it, prints its help and completes it."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Mapping, Sequence
from importlib import import_module
from types import ModuleType
from typing import Any, Never

from modelbuild.cli import console
from modelbuild.errors import ModelbuildError, did_you_mean

# An option that some verbs alone have -> what to do.
_OTHER_VERBS = {"--set": "write it in the manifest; `build` and `config` have --set, `sweep` --try"}

# argparse's words -> ours
_WORDS = (
    (re.compile(r"^the following arguments are required: (.*, .*)$"), r"\1 are missing"),
    (re.compile(r"^the following arguments are required: (.*)$"), r"\1 is missing"),
    (re.compile(r"^argument (\S+): expected (?:one|at least one) argument$"), r"\1 needs a value"),
    (re.compile(r"^argument (\S+): ignored explicit argument (.*)$"), r"\1 takes no value: \2"),
    (re.compile(r"^argument (\S+): not allowed with argument (\S+)$"), r"\1 does not go with \2"),
)
_MISSING = (" is missing", " are missing")
# Options of every verb that take a value: only they may stand before the verb with a word behind them.
WITH_VALUE = ("-C", "-f", "--color")


class Parser(argparse.ArgumentParser):
    """argparse with our messages: every wrong argument is one error, exit 2."""

    _words: Sequence[str] = ()

    def parse_args(self, words: Sequence[str]) -> argparse.Namespace:  # type: ignore[override]
        """The options in `words`. Raises for the first of them that is none, with the nearest."""
        self._words = words
        found, left = self.parse_known_args(words)
        several = next((one for one in self._positionals._group_actions if one.nargs == "*"), None)
        if several is not None and several.choices is None and not any(word[:1] == "-" for word in left):
            # argparse takes them up to the next option only
            setattr(found, several.dest, [*getattr(found, several.dest), *left])
        elif left:
            option = left[0].partition("=")[0]
            if not option.startswith("-"):
                raise self._refused(f"`{left[0]}` is one too many")
            near = _OTHER_VERBS.get(option) or did_you_mean(option, self._option_string_actions)
            raise self._refused(f"there is no option `{option}`", near)
        return found

    def error(self, message: str) -> Never:
        for pattern, replacement in _WORDS:
            message = pattern.sub(replacement, message)
        raise self._refused(message, self._dashed() if message.endswith(_MISSING) else "")

    def _dashed(self) -> str:
        """Advice where a word that was taken for an option is the name of a file."""
        options = self._option_string_actions
        word = next(
            (
                word
                for word in self._words
                if word[:1] == "-" and word not in options and os.access(word, os.F_OK)
            ),
            None,
        )
        return "" if word is None else f"the file {word} is named ./{word}"

    def _refused(self, what: str, advice: str = "") -> ModelbuildError:
        return ModelbuildError(what, where=self.prog, advice=advice or f"see `{self.prog} --help`")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is None or value in action.choices:
            return
        metavar = action.metavar if isinstance(action.metavar, str) else ""
        known = metavar.split("|") if "|" in metavar else [str(choice) for choice in action.choices]
        listed = f"it is one of {', '.join(known)}" if len(known) > 1 else f"it takes {known[0]} alone"
        near = did_you_mean(str(value), known)
        what = f"{'/'.join(action.option_strings)} `{value}`".strip() + " is not known"
        raise self._refused(what, f"{near} {listed}".strip())

    def _get_value(self, action: argparse.Action, arg_string: str) -> Any:
        try:
            return super()._get_value(action, arg_string)
        except argparse.ArgumentError:
            kind = "a whole number" if action.type is int else "a number"
            raise self._refused(f"{'/'.join(action.option_strings)} `{arg_string}` is not {kind}") from None

    def print_help(self, file: object = None) -> None:
        """On standard output, as a verb's result: argparse says nothing of what it could not write."""
        console.put(self.format_help())


class _Help(argparse.HelpFormatter):
    """argparse asks `shutil` for the width, and so for compression libraries; the system knows it too."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=max(40, _columns() - 2))


def _columns() -> int:
    given = os.environ.get("COLUMNS", "")
    if given.isdecimal() and int(given) > 0:
        return int(given)
    try:
        return os.get_terminal_size(1).columns or 80
    except OSError:
        return 80


def module(verb: str) -> ModuleType:
    """The module of a verb: `add_arguments(parser)` and `run(options) -> exit code`."""
    return import_module(f"modelbuild.cli.{verb}")


def parser(verb: str, verbs: Mapping[str, str]) -> Parser:
    """What reads the words after a verb."""
    made = Parser(
        prog=f"modelbuild {verb}", description=verbs[verb], allow_abbrev=False, formatter_class=_Help
    )
    _common(made)
    module(verb).add_arguments(made)
    return made


def split(words: list[str]) -> tuple[str | None, list[str]]:
    """The verb and the words without it; options of every verb may stand before it."""
    index = 0
    while index < len(words):
        if words[index] in WITH_VALUE:
            index += 2
        elif words[index].startswith("-"):
            index += 1
        else:
            return words[index], words[:index] + words[index + 1 :]
    return None, words


def _common(made: argparse.ArgumentParser) -> None:
    group = made.add_argument_group("every verb takes")
    group.add_argument("-C", dest="directory", default=".", metavar="DIR", help="work in this folder")
    group.add_argument("-f", dest="file", default="models.yaml", metavar="FILE", help="the manifest")
    group.add_argument("--json", action="store_true", help="print one JSON object on standard output")
    group.add_argument(
        "-q", "--quiet", action="store_true", help="say only what is asked for, and what went wrong"
    )
    group.add_argument("-v", "--verbose", action="store_true", help="say all")
    group.add_argument("--color", choices=("auto", "always", "never"), default="auto", help="colour the text")
    group.add_argument("--debug", action="store_true", help="show tracebacks")
