"""The one grammar of the command line: what parses it, prints its help and completes it."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from importlib import import_module
from types import ModuleType
from typing import Never

from modelbuild.cli import console
from modelbuild.errors import ModelbuildError

# Options of every verb that take a value: only they may stand before the verb with a word behind them.
WITH_VALUE = ("-C", "-f", "--color")


class Parser(argparse.ArgumentParser):
    """argparse with our messages: every wrong argument is one error, exit 2."""

    def error(self, message: str) -> Never:
        raise ModelbuildError(message, where=self.prog, advice=f"see `{self.prog} --help`")

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
    group.add_argument("-q", "--quiet", action="store_true", help="say only what went wrong")
    group.add_argument("-v", "--verbose", action="store_true", help="say all")
    group.add_argument("--color", choices=("auto", "always", "never"), default="auto", help="colour the text")
    group.add_argument("--debug", action="store_true", help="show tracebacks")
