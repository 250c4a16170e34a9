"""`modelbuild diff`: where two files of one kind differ."""

from __future__ import annotations

import argparse
from pathlib import Path

from modelbuild import api, input_file
from modelbuild.artifacts.differing_text import render
from modelbuild.cli import console, flags
from modelbuild.errors import EXIT_FAILED, ModelbuildError
from modelbuild.output_file import named


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    parser.add_argument("a", metavar="FILE", help="an ONNX model, a NEF, an MPK, a kmodel …")
    parser.add_argument("b", metavar="FILE", help="another of the same kind")
    parser.add_argument(
        "--weights",
        metavar="FILE",
        action="append",
        default=[],
        help="of .prototxt or .keras files: .caffemodel, .h5; for both, or once for each",
    )
    parser.add_argument("--html", metavar="OUT.html", help="write a page of it, which loads nothing")


def run(options: argparse.Namespace) -> int:
    """What differs; 0 where both have the same bytes, else 1."""
    folder = Path(options.directory)
    if len(options.weights) > 2:
        raise ModelbuildError(
            f"--weights is given {len(options.weights)} times", advice="give it once, or once for each file"
        )
    a, b = input_file.named(folder, options.a), input_file.named(folder, options.b)
    beside: list[Path | None] = [input_file.named(folder, name) for name in options.weights] or [None]
    if options.html is not None:
        api.check_page(folder / named(options.html, "--html"))
    with flags.spoken(sized_by="modelbuild convert FILE -o OUT.onnx"):
        found = api.diff(a, b, beside[0], beside[-1])
    if options.html is not None:
        api.write_page_of_diff(found, folder / options.html)
    text = "" if options.json else render(found, whole=console.is_verbose()).rstrip("\n")
    console.result(text, found)
    return 0 if found["equal"] else EXIT_FAILED
