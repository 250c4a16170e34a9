"""`modelbuild init`: a commented models.yaml that builds."""

from __future__ import annotations

import argparse
from pathlib import Path

from modelbuild import api
from modelbuild.address import is_address
from modelbuild.cli import console
from modelbuild.cli.options import shapes


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    parser.add_argument("source", metavar="MODEL", help="the model file")
    parser.add_argument("--chip", action="append", required=True, help="a chip; may be given several times")
    parser.add_argument("--weights", metavar="FILE", help="its weights, where they are apart: .caffemodel")
    parser.add_argument("--samples", action="append", default=[], metavar="GLOB", help="calibration files")
    parser.add_argument(
        "--input", action="append", default=[], metavar="NAME=1,3,224,224", help="the shape of an open input"
    )


def run(options: argparse.Namespace) -> int:
    """Write the manifest and say what comes next."""
    directory = Path(options.directory)
    started = api.init(
        options.source if is_address(options.source) else str(directory / options.source),
        options.chip,
        directory=directory,
        file=options.file,
        samples=options.samples,
        shapes=shapes(options.input),
        weights=None if options.weights is None else directory / options.weights,
    )
    lines = [f"wrote {started.manifest.name}"]
    if started.gitignore:
        lines.append("added what builds leave to .gitignore")
    lines += [*started.missing, "next: modelbuild check, then modelbuild build"]
    lines.append("before a release: modelbuild lock, and commit modelbuild.lock and modelbuild.locked/")
    console.summary("\n".join(lines), started.to_json())
    return 0
