"""The entry point: finds the verb, parses its arguments, turns errors into messages and exit codes."""

from __future__ import annotations

import argparse
import io
import os
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Never

from modelbuild import __version__
from modelbuild.cli import console
from modelbuild.errors import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_USER, ModelbuildError, did_you_mean

# verb -> one line for `modelbuild --help`; the module of the same name in this folder has the rest
VERBS = {
    "init": "write a commented models.yaml for a model and a chip",
    "check": "say which node runs where, and what is wrong, before any work",
    "build": "build the packages, or those selected",
    "status": "say what is up to date; runs nothing",
    "why": "say why something was, or would be, rebuilt",
    "config": "show the effective settings of MODEL@TARGET and where each came from",
    "clean": "remove the build state and what was built",
    "evaluate": "predict speed on a chip",
    "run": "run a model file, a packaged model or MODEL@TARGET",
    "compare": "compare the outputs of two models, or the forms of MODEL@TARGET",
    "inspect": "show what is inside a model or package file",
    "chips": "list the chips, or show one recipe",
    "schema": "print the JSON schema of models.yaml, for editors",
}


class _Parser(argparse.ArgumentParser):
    """argparse with our messages: every wrong argument is one error, exit 2."""

    def error(self, message: str) -> Never:
        raise ModelbuildError(message, where=self.prog, advice=f"see `{self.prog} --help`")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code. Never shows a traceback, save with --debug."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a character the terminal lacks must not end a build
            stream.reconfigure(errors="backslashreplace")
    if arguments is None and sys.getfilesystemencoding().lower() != "utf-8":
        # paths cross to workers as UTF-8: start once more in Python's UTF-8 mode, as it is from 3.15 on
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    try:
        return _run(words)
    except ModelbuildError as error:
        console.report(error)
        if "--json" in words:
            console.configure(json=True, quiet=False, verbose=False, color="auto")
            console.result("", {"ok": False, **_json_of(words, error)})
        if debug:
            traceback.print_exc()
        return error.exit_code
    except KeyboardInterrupt:
        console.say("interrupted")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    except Exception as error:
        if debug:
            traceback.print_exc()
        else:
            console.say(f"modelbuild: internal error: {type(error).__name__}: {error}")
            console.say("  do:  run the same command with --debug and report what it prints")
        return EXIT_FAILED


def _run(words: list[str]) -> int:
    verb, words = _split(words)
    if verb is None:
        return _top(words)
    if verb not in VERBS:
        raise ModelbuildError(
            f"there is no verb `{verb}`",
            advice=did_you_mean(verb, VERBS) or "`modelbuild --help` lists the verbs",
        )
    module = import_module(f"modelbuild.cli.{verb}")
    parser = _Parser(prog=f"modelbuild {verb}", description=VERBS[verb], allow_abbrev=False)
    _common(parser)
    module.add_arguments(parser)
    options = parser.parse_args(words)
    console.configure(json=options.json, quiet=options.quiet, verbose=options.verbose, color=options.color)
    if not Path(options.directory).is_dir():
        raise ModelbuildError(f"-C {options.directory} is not a folder")
    return int(module.run(options))


def _json_of(words: list[str], error: ModelbuildError) -> dict[str, object]:
    """What the verb's object says of an error, beside `ok`: its own form where the verb has one."""
    verb = _split(words)[0]
    form = getattr(import_module(f"modelbuild.cli.{verb}"), "error_json", None) if verb in VERBS else None
    return dict(form(error)) if form else {"error": error.to_json()}


def _split(words: list[str]) -> tuple[str | None, list[str]]:
    """The verb and the words without it; options with a value may stand before it."""
    index = 0
    while index < len(words):
        if words[index] in {"-C", "-f", "--color"}:
            index += 2
        elif words[index].startswith("-"):
            index += 1
        else:
            return words[index], words[:index] + words[index + 1 :]
    return None, words


def _top(words: list[str]) -> int:
    if "--version" in words:
        print(f"modelbuild {__version__}")
        return 0
    lines = ["usage: modelbuild VERB [options]", "", *(f"  {verb:<10}{text}" for verb, text in VERBS.items())]
    lines += ["", "`modelbuild VERB --help` tells the rest; `modelbuild --version` the version."]
    wanted = {"-h", "--help"} & set(words)
    print("\n".join(lines), file=sys.stdout if wanted else sys.stderr)
    return 0 if wanted else EXIT_USER


def _common(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("every verb takes")
    group.add_argument("-C", dest="directory", default=".", metavar="DIR", help="work in this folder")
    group.add_argument("-f", dest="file", default="models.yaml", metavar="FILE", help="the manifest")
    group.add_argument("--json", action="store_true", help="print one JSON object on standard output")
    group.add_argument("-q", "--quiet", action="store_true", help="say only what went wrong")
    group.add_argument("-v", "--verbose", action="store_true", help="say more")
    group.add_argument("--color", choices=("auto", "always", "never"), default="auto", help="colour the text")
    group.add_argument("--debug", action="store_true", help="show tracebacks")
