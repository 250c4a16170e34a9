"""`modelbuild inspect`: what is inside a file."""

from __future__ import annotations

import argparse
from pathlib import Path

from modelbuild import api
from modelbuild.artifacts.tree import render
from modelbuild.cli import console


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    parser.add_argument("what", metavar="FILE", help="an ONNX model, a NEF, an MPK, a kmodel …")


def run(options: argparse.Namespace) -> int:
    """A tree, or the object; 1 where a checksum does not agree."""
    found = api.inspect(Path(options.directory) / options.what)
    console.result(render(found), found)
    return 0 if all(item["ok"] for item in found.get("checksums", ())) else 1
