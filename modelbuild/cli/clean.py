"""`modelbuild clean`: remove the build state and what was built."""

from __future__ import annotations

import argparse
from pathlib import Path

from modelbuild import api
from modelbuild.cli import console
from modelbuild.cli.progress.plain import Plain
from modelbuild.errors import ModelbuildError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """This verb has no options of its own."""


def run(options: argparse.Namespace) -> int:
    """Only beside a manifest, so that a wrong folder loses nothing."""
    manifest = Path(options.directory) / options.file
    if not manifest.is_file():
        raise ModelbuildError(
            f"there is no {options.file} here",
            where=str(manifest),
            why="only beside a manifest is it sure whose files those are",
            advice="name the project's folder with -C",
        )
    removed = api.clean(manifest.parent, Plain(console.progress))
    lines = [f"removed {folder}" for folder in removed] or ["nothing was built here"]
    console.summary("\n".join(lines), {"ok": True, "removed": list(removed)})
    return 0
