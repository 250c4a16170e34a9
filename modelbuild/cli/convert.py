"""`modelbuild convert`: a model file of any format as clean ONNX, step by step."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from modelbuild import api
from modelbuild.cli import console, conversion, flags
from modelbuild.cli.flags import Said
from modelbuild.cli.options import shapes
from modelbuild.cli.recording.places import checked
from modelbuild.errors import ModelbuildError
from modelbuild.output_file import named
from modelbuild.project import edit_file


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    add = parser.add_argument
    add("source", metavar="FILE", help="the model: .onnx, .tflite, .h5, .hdf5, .keras or .prototxt")
    add("--weights", metavar="FILE", help="its weights, where they are apart: .caffemodel")
    add("-o", "--output", metavar="FILE.onnx", required=True, help="where the ONNX file goes")
    add("--input", action="append", default=[], metavar="NAME=1,3,224,224", help="the shape of an open input")
    add("--chip", help="make it ready for this chip: its name, or the path of its recipe")
    add("--edition", help="of the chip's operator table; the newest unless told")
    add("--only-import", action="store_true", help="write what was imported and edited; run no passes")
    add("--edit", metavar="FILE.yaml", help="a list of edits, as `edit:` of models.yaml has them")
    _add_edits(add)
    add("--skip", action="append", default=[], metavar="PASS", help="a pass to leave out; may be given again")
    add("--paranoid", action="store_true", help="hold the model to its source after each pass")
    add("--force", action="store_true", help="replace FILE.onnx though modelbuild has not written it")


def _add_edits(add: Any) -> None:
    """The options that stand for an edit each, after those of --edit."""
    add("--cut-inputs", action="append", default=[], metavar="A,B", help="tensors or nodes to begin at")
    add("--cut-outputs", action="append", default=[], metavar="A,B", help="tensors or nodes to end at")
    add("--remove-type", action="append", default=[], metavar="OP", help="remove the nodes of a type")
    add("--rename", action="append", default=[], metavar="OLD=NEW", help="rename a tensor or node")
    add("--tail", choices=("auto",), help="cut off what comes after the chip's last node: FILE_post.onnx")


def run(options: argparse.Namespace) -> int:
    """Convert, and say what each step did."""
    directory = Path(options.directory)
    checked(directory, options.file, {"convert -o": named(options.output)})
    edits = _edits(options, directory)
    with flags.spoken(edits):
        found = api.convert(
            directory / options.source,
            directory / options.output,
            weights=None if options.weights is None else directory / options.weights,
            shapes=shapes(options.input),
            edits=[said.edit for said in edits],
            chip=options.chip,
            edition=options.edition,
            only_import=options.only_import,
            skip=options.skip,
            paranoid=options.paranoid,
            force=options.force,
            directory=directory,
        )
    text = conversion.text(options.source, found, paranoid=options.paranoid)
    console.summary(text, found.to_json())
    return 0


_TAIL: Mapping[str, Any] = {"tail": "auto"}


def _edits(options: argparse.Namespace, directory: Path) -> list[Said]:
    """The file's edits, then those of the options: removed and cut before anything is renamed."""
    edits: list[Said] = []
    if options.edit is not None:
        edits += itertools.starmap(Said, edit_file.read_placed(directory / options.edit))
    if options.remove_type:
        edits.append(
            Said("--remove-type", {"remove": {"types": _words("--remove-type", options.remove_type)}})
        )
    borders = {
        key: _words(f"--cut-{key}", given)
        for key, given in (("inputs", options.cut_inputs), ("outputs", options.cut_outputs))
        if given
    }
    if borders:
        edits.append(Said(" ".join(f"--cut-{key}" for key in borders), {"cut": borders}))
    if options.rename:
        edits.append(Said("--rename", {"rename": _renamed(options.rename)}))
    return [*edits, Said("--tail", _TAIL)] if options.tail else edits


def _words(option: str, texts: Sequence[str]) -> list[str]:
    found = [word.strip() for text in texts for word in text.split(",") if word.strip()]
    if not found:
        raise ModelbuildError(f"{option} names nothing", advice=f"name something, or leave {option} out")
    return found


def _renamed(texts: Sequence[str]) -> dict[str, str]:
    """OLD=NEW, each OLD once: what came later would take the place of what came before."""
    found: dict[str, str] = {}
    for text in texts:
        old, _, new = text.partition("=")
        if not old or not new:
            raise ModelbuildError(f"--rename {text} is not OLD=NEW", advice="write --rename OLD=NEW")
        if old in found:
            raise ModelbuildError(
                f"--rename gives `{old}` two names: `{found[old]}` and `{new}`", advice="keep one of them"
            )
        found[old] = new
    return found
