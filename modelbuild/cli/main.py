"""The entry point: finds the verb, parses its arguments, turns errors into messages and exit codes."""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import re
import sys
from collections.abc import Sequence

from modelbuild.build import interrupts
from modelbuild.cli import console
from modelbuild.cli.leaving import leave, release
from modelbuild.errors import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_USER, ModelbuildError

_READABLE = "modelbuild.readable"  # how streams write what they cannot encode
_BYTE = re.compile(r"\\udc([89a-f][0-9a-f])")
EXIT_UNREAD = 141  # as of a process that SIGPIPE ended: who read the output has gone

# verb -> one line for `modelbuild --help`; the module of the same name in this folder has the rest
VERBS = {
    "init": "write a commented models.yaml for a model and a chip",
    "check": "say which node runs where, and what is wrong, before any work",
    "build": "build the packages, or those selected",
    "watch": "build, and build again as files change",
    "status": "say what is up to date; runs nothing",
    "why": "say why something was, or would be, rebuilt",
    "config": "show the effective settings of MODEL@TARGET and where each came from",
    "graph": "draw the actions and what they read, as Mermaid, DOT or JSON",
    "lock": "write modelbuild.lock, from which `build --locked` makes the same bytes anywhere",
    "clean": "remove the build state and what was built",
    "cache": "what the store holds, whether it is whole, and what can go",
    "hooks": "git hooks that check commits, rebuild behind checkouts, and build before a push",
    "convert": "write a model file of any format as a clean ONNX file, without a manifest",
    "evaluate": "predict speed on a chip",
    "pack": "make a package of one model file, without a manifest",
    "sweep": "build MODEL@TARGET with several settings and rank what comes out",
    "run": "run a model file, a packaged model or MODEL@TARGET",
    "compare": "compare the outputs of two models, or the forms of MODEL@TARGET",
    "inspect": "show what is inside a model or package file",
    "diff": "say where two model or package files of one kind differ",
    "nef": "combine Kneron's packages, take one apart, change ids and versions",
    "chips": "list the chips, or show one recipe",
    "schema": "print the JSON schema of models.yaml, for editors",
    "completion": "print the completion script of a shell",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code. Never shows a traceback, save with --debug.

    Without arguments it is the program, and need not return."""
    if arguments is not None:
        try:
            return _ended(list(arguments), is_program=False)
        finally:
            release()
    code = _ended(sys.argv[1:], is_program=True)
    leave(code)
    return code


def _ended(words: list[str], is_program: bool) -> int:
    try:
        return _told(words, is_program)
    except interrupts.Interrupted as error:  # what went wrong could not be told: the terminal has gone
        return error.exit_code
    except BrokenPipeError:  # also of who reads what an error prints
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except OSError:
                console.discard(stream)
        return EXIT_UNREAD


def _told(words: list[str], is_program: bool) -> int:
    try:
        with interrupts.Handled():
            _prepare_streams(is_program)
            return _run(words)
    except ModelbuildError as error:
        console.report(error)
        return _failed(words, error)
    except KeyboardInterrupt as error:
        code: int = getattr(error, "exit_code", EXIT_INTERRUPTED)
        with contextlib.suppress(OSError, KeyboardInterrupt):  # the terminal may be what has gone
            console.say(f"interrupted: {_left(words)}")
            _failed(words, ModelbuildError("interrupted", exit_code=code))
        return code
    except BrokenPipeError:
        raise
    except OSError as error:  # that no room foresaw: the trouble of a file or a disk, and no bug
        from modelbuild.build import disk

        refused = disk.refused(error)
        console.report(refused)
        return _failed(words, refused)
    except Exception as error:
        what = f"internal error: {type(error).__name__}: {error}"
        console.say(f"modelbuild: {what}")
        if "--debug" not in words:
            console.say("  do:  run the same command with --debug and report what it prints")
        return _failed(words, ModelbuildError(what, exit_code=EXIT_FAILED))


# verb -> what an interrupt leaves, where that is not what a build does
_LEFT = {"convert": "nothing is half written, and the next convert begins anew"}
_LEFT_BY_PACK = {
    True: "nothing is half written, and the next pack with that --cache goes on from what was finished",
    False: "nothing is half written, and the next pack begins anew (--cache DIR keeps what is finished)",
}


def _left(words: list[str]) -> str:
    from modelbuild.cli import grammar

    verb, rest = grammar.split(words)
    if verb == "pack":
        return _LEFT_BY_PACK[any(word.partition("=")[0] == "--cache" for word in rest)]
    return _LEFT.get(verb or "", "what was finished is kept, and the next build goes on from there")


def _prepare_streams(is_program: bool) -> None:
    codecs.register_error(_READABLE, _readable)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a character the terminal lacks must not end a build
            stream.reconfigure(errors=_READABLE)
    if is_program and sys.getfilesystemencoding().lower() != "utf-8":
        # paths cross to workers as UTF-8: start once more in Python's UTF-8 mode, as it is from 3.15 on
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])


def _readable(error: UnicodeError) -> tuple[str | bytes, int]:
    """As `backslashreplace`, but that a byte of a file's name that is no UTF-8, which Python has as a lone
    surrogate, is shown as itself: \\xff."""
    text, end = codecs.backslashreplace_errors(error)
    return (_BYTE.sub(r"\\x\1", text) if isinstance(text, str) else text), end


def _run(words: list[str]) -> int:
    from modelbuild.cli import grammar

    verb, rest = grammar.split(words)
    if verb == "help":  # `help VERB`, as git has it
        words = [*rest, "--help"]
        verb, rest = grammar.split(words)
    wants_help = bool({"-h", "--help"} & set(words))
    if verb is None:
        return _top(words, wants_help)
    if verb not in VERBS:
        return _unknown(verb, words, wants_help)
    options = grammar.parser(verb, VERBS).parse_args(rest)
    console.configure(json=options.json, quiet=options.quiet, verbose=options.verbose, color=options.color)
    if not os.path.isdir(options.directory):  # noqa: PTH112 - pathlib is slow to import
        raise ModelbuildError(
            f"-C {options.directory} is not a folder", advice="name a folder that is there, or leave -C out"
        )
    return int(grammar.module(verb).run(options))


def _failed(words: list[str], error: ModelbuildError) -> int:
    """The JSON object of an error, and with --debug where it came from."""
    if "--json" in words:
        console.configure(json=True, quiet=False, verbose=False, color="auto")
        console.result("", {"ok": False, **_json_of(words, error)})
    if "--debug" in words:
        import traceback

        traceback.print_exc()
    return error.exit_code


def _json_of(words: list[str], error: ModelbuildError) -> dict[str, object]:
    """What the verb's object says of an error, beside `ok`: its own form where the verb has one."""
    from modelbuild.cli import grammar

    verb = grammar.split(words)[0]
    form = getattr(grammar.module(verb), "error_json", None) if verb in VERBS else None
    return dict(form(error)) if form else {"error": error.to_json()}


def _top(words: list[str], wants_help: bool) -> int:
    if "--version" in words:
        from modelbuild.cli import version

        return version.show(as_json="--json" in words)
    wide = max(map(len, VERBS)) + 2
    lines = ["usage: modelbuild VERB [options]", ""]
    lines += [f"  {verb:<{wide}}{text}" for verb, text in VERBS.items()]
    lines += [
        "",
        "`modelbuild VERB --help` tells the rest; `modelbuild --version` the version and toolchains.",
    ]
    lines.append("`modelbuild --help WORD` says what a word of another toolchain (ptq, analysis) is here.")
    if not wants_help:
        console.say("\n".join(lines))
        return EXIT_USER
    console.put("\n".join([*lines, ""]))
    return 0


def _unknown(verb: str, words: list[str], wants_help: bool) -> int:
    """A word that is no verb: another toolchain's is explained, with --help as what was asked for."""
    from modelbuild.cli import vendors
    from modelbuild.errors import did_you_mean

    found = vendors.meanings([word for word in words if not word.startswith("-")])
    if found and wants_help:
        console.put("\n".join([*map(str, found), ""]))
        return 0
    what = f"there is no verb `{verb}`"
    if found:
        why = "; ".join(f"it is {meaning.vendor}'s word: {meaning.text}" for meaning in found)
        raise ModelbuildError(what, why=why, advice=f"use `{found[0].ours}`")
    raise ModelbuildError(what, advice=did_you_mean(verb, VERBS) or "`modelbuild --help` lists the verbs")
