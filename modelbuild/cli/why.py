"""`modelbuild why`: which field changed, with old and new value."""

from __future__ import annotations

import argparse

from modelbuild import api
from modelbuild.cli import console


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    parser.add_argument("name", metavar="ACTION|MODEL|MODEL@TARGET|PACKAGE", help="what to explain")


def run(options: argparse.Namespace) -> int:
    """Explain the last run and the next one."""
    project = api.open_project(options.directory, options.file)
    explanations = api.why(project, options.name)
    data = {"explanations": [explanation.to_json() for explanation in explanations]}
    console.result("\n".join(str(explanation) for explanation in explanations), data)
    return 0
