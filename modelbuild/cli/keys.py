"""The options that name the keys of an encrypted package. None of them takes a key itself."""

from __future__ import annotations

import argparse
from pathlib import Path

NAMES = ("key", "key_file", "efuse_key")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The three options."""
    add = parser.add_argument
    add("--key", metavar="env:NAME", help="of an encrypted package: the variable with its key")
    add("--key-file", metavar="PATH", help="of an encrypted package: its key file")
    add("--efuse-key", metavar="env:NAME", help="of an encrypted package: the variable with its efuse key")


def given(options: argparse.Namespace) -> dict[str, str]:
    """What the options name; a path starts at the working folder."""
    found = {name: getattr(options, name) for name in NAMES if getattr(options, name) is not None}
    if "key_file" in found:
        found["key_file"] = str(Path(options.directory) / found["key_file"])
    return found
