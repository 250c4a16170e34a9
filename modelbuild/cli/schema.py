"""`modelbuild schema`: the JSON schema of models.yaml, for editors."""

from __future__ import annotations

import argparse

from modelbuild.cli import console
from modelbuild.manifest import schema


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """This verb has no options of its own."""


def run(options: argparse.Namespace) -> int:
    """The schema is JSON with or without --json."""
    console.put(schema.text())
    return 0
