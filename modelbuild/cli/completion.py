"""`modelbuild completion`: the completion script of a shell."""

from __future__ import annotations

import argparse

from modelbuild.cli import completing, console
from modelbuild.errors import ModelbuildError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb; --names and --prefix are for the scripts."""
    parser.add_argument("shell", nargs="?", choices=sorted(completing.SHELLS), help="whose script to print")
    parser.add_argument("--names", choices=completing.KINDS, help=argparse.SUPPRESS)
    parser.add_argument("--prefix", default="", help=argparse.SUPPRESS)


def run(options: argparse.Namespace) -> int:
    """Print the script; or, as the scripts ask, the names that may stand where the cursor is."""
    if options.names is not None:
        found = completing.names(options.names, options.prefix, options.directory, options.file)
        console.result("\n".join(found), {"names": found})
        return 0
    if options.shell is None:
        raise ModelbuildError(
            "which shell?",
            why=f"scripts are there for {', '.join(sorted(completing.SHELLS))}",
            advice='for bash, put eval "$(modelbuild completion bash)" into ~/.bashrc',
        )
    from modelbuild.cli.main import VERBS

    text = completing.script(options.shell, VERBS)
    console.result(text.removesuffix("\n"), {"shell": options.shell, "script": text})
    return 0
