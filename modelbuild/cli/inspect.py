"""`modelbuild inspect`: what is inside a file."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from modelbuild import api, input_file
from modelbuild.artifacts.inspectors.kmodel_listing import listing
from modelbuild.artifacts.tree import render, verdict
from modelbuild.cli import console, flags
from modelbuild.output_file import named


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    parser.add_argument("what", metavar="FILE", help="an ONNX model, a NEF, an MPK, a kmodel …")
    parser.add_argument("--weights", metavar="FILE", help="of a .prototxt or .keras file: .caffemodel, .h5")
    parser.add_argument(
        "--disassemble", action="store_true", help="show a kmodel's instructions, and its layers' registers"
    )
    parser.add_argument("--nodes", action="store_true", help="list the model's nodes and their tensors")
    parser.add_argument("--html", metavar="OUT.html", help="write a page of it, which loads nothing")


def run(options: argparse.Namespace) -> int:
    """A tree, or the object; 1 where a checksum does not agree or a check fails."""
    folder = Path(options.directory)
    file = input_file.named(folder, options.what)
    weights = None if options.weights is None else input_file.named(folder, options.weights)
    if options.html is not None:
        api.check_page(folder / named(options.html, "--html"))
    with flags.spoken(sized_by=f"modelbuild convert {options.what} -o OUT.onnx"):
        found = api.inspect(file, weights, nodes=options.nodes, disassemble=options.disassemble)
    if options.html is not None:
        api.write_page(found, folder / options.html, Path(options.what).name)
    console.result("" if options.json else _text(found), found)
    judged = (*found.get("checksums", ()), *found.get("checks", ()))
    return 0 if all(item["ok"] for item in judged) else 1


def _text(found: dict[str, Any]) -> str:
    """The tree, after it the listing of a disassembly, and at the end what is not ok; with -q of the tree
    only what is not ok, and the nodes that are asked for."""
    whole = console.is_verbose()
    tree = _quiet(found) if console.is_quiet() else render(_without(found, "disassembly"), whole)
    code = listing(found["disassembly"], whole) if "disassembly" in found else ""
    return (tree + code + verdict(found)).rstrip("\n")


def _without(found: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in found.items() if key != name}


def _quiet(found: dict[str, Any]) -> str:
    bad = {
        name: [_without(item, "ok") for item in found.get(name, ()) if not item["ok"]]
        for name in ("checksums", "checks")
    }
    nodes = {key: model[key] for model in found["models"][:1] for key in ("node_list",) if key in model}
    shown = {key: value for key, value in {**bad, **nodes}.items() if value}
    return render(shown, whole=True) if shown else ""
