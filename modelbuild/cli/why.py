"""`modelbuild why`: which field changed, with old and new value."""

from __future__ import annotations

import argparse

from modelbuild import api
from modelbuild.cli import console


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    parser.add_argument("name", metavar="ACTION|MODEL|MODEL@TARGET|PACKAGE", help="what to explain")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--last", action="store_true", help="explain the last run only")
    which.add_argument("--next", action="store_true", help="explain the next build only")


def run(options: argparse.Namespace) -> int:
    """Explain the last run and the next one; with --json both, whatever was asked for."""
    project = api.open_project(options.directory, options.file)
    explanations = api.why(project, options.name)
    data = {"explanations": [explanation.to_json() for explanation in explanations]}
    told: set[str] = set()
    alike: dict[str, list[str]] = {}  # why -> the actions of which nothing else is to be said
    for one in explanations:
        name, _, reasons = one.text(last=not options.next, next=not options.last, told=told).partition("\n")
        alike.setdefault(reasons, []).append(name)
        told |= {one.action, one.next.waits_for}
    console.result("\n".join("\n".join((*names, reasons)) for reasons, names in alike.items()), data)
    return 0
