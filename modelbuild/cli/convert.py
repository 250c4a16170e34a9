"""`modelbuild convert`: a model file of any format as clean ONNX, step by step."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelbuild import api
from modelbuild.cli import console
from modelbuild.cli.options import shapes
from modelbuild.cli.recording.places import checked
from modelbuild.errors import ModelbuildError

if TYPE_CHECKING:
    from modelbuild.project.converting import ConvertResult, Step


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    add = parser.add_argument
    add("source", metavar="FILE", help="the model: .onnx, .tflite, .h5, .hdf5, .keras or .prototxt")
    add("--weights", metavar="FILE", help="its weights, where they are apart: .caffemodel")
    add("-o", "--output", metavar="FILE.onnx", required=True, help="where the ONNX file goes")
    add("--input", action="append", default=[], metavar="NAME=1,3,224,224", help="the shape of an open input")
    add("--chip", help="make it ready for this chip: its name, or the path of its recipe")
    add("--only-import", action="store_true", help="write what was imported and edited; run no passes")
    add("--edit", metavar="FILE.yaml", help="a list of edits, as `edit:` of models.yaml has them")
    _add_edits(add)
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
    checked(directory, options.file, {"convert -o": options.output})
    found = api.convert(
        directory / options.source,
        directory / options.output,
        weights=None if options.weights is None else directory / options.weights,
        shapes=shapes(options.input),
        edits=_edits(options, directory),
        chip=options.chip,
        only_import=options.only_import,
        paranoid=options.paranoid,
        force=options.force,
        directory=directory,
    )
    console.summary(_text(options.source, found), found.to_json())
    return 0


def _edits(options: argparse.Namespace, directory: Path) -> list[Mapping[str, Any]]:
    """The file's edits, then those of the options: removed and cut before anything is renamed."""
    edits = [] if options.edit is None else list(api.edits_in(directory / options.edit))
    if options.remove_type:
        edits.append({"remove": {"types": _words(options.remove_type)}})
    borders = {"inputs": _words(options.cut_inputs), "outputs": _words(options.cut_outputs)}
    if any(borders.values()):
        edits.append({"cut": {key: names for key, names in borders.items() if names}})
    if options.rename:
        edits.append({"rename": dict(map(_renamed, options.rename))})
    if options.tail:
        edits.append({"tail": options.tail})
    return edits


def _words(texts: Sequence[str]) -> list[str]:
    return [word.strip() for text in texts for word in text.split(",") if word.strip()]


def _renamed(text: str) -> tuple[str, str]:
    old, _, new = text.partition("=")
    if not old or not new:
        raise ModelbuildError(f"--rename {text} is not OLD=NEW", advice="write --rename OLD=NEW")
    return old, new


def _text(name: str, found: ConvertResult) -> str:
    source = found.source
    producer = f", {source['producer']}" if source["producer"] else ""
    lines = [f"{name}: {source['format']}{producer}"]
    lines += [line for step in found.steps for line in _step(step)]
    lines += [f"import: {note}" for note in source["notes"]]
    if found.units is not None:
        lines.append("nodes on " + ", ".join(f"{unit}: {count}" for unit, count in found.units.items()))
    for written in (found.model, found.post):
        if written is not None:
            lines.append(f"wrote {written.path}, {written.size} bytes")
            lines += [f"wrote {path}: its weights, to be kept beside it" for path in written.data]
            lines += [f"  input {_port(port)}" for port in written.inputs]
            lines += [f"  output {_port(port)}" for port in written.outputs]
    return "\n".join(lines)


def _step(step: Step) -> list[str]:
    measured = f", not measured against {step.against}" if step.against else ""
    if step.by_codes:
        measured = f", within the steps of {step.against}'s quantization"
    if step.difference is not None:
        measured = f", differs by {step.difference.worst.error:.2g} of the range from {step.against}"
    head = f"{step.name}: {step.nodes_before} -> {step.nodes_after} nodes{measured}"
    acted = ", ".join(f"{name} {count}" for name, count in step.passes.items())
    return [head, *textwrap.wrap(acted, 100, initial_indent="  ", subsequent_indent="  ")]


def _port(port: Mapping[str, Any]) -> str:
    return f"{port['name']} {port['shape']} {port['dtype']}"
