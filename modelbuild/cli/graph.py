"""`modelbuild graph`: the plan as Mermaid, DOT or JSON. Runs nothing."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from modelbuild import api, whole_file
from modelbuild.cli import console
from modelbuild.cli.recording.places import checked
from modelbuild.errors import ModelbuildError
from modelbuild.project.graph_text import FORMATS
from modelbuild.project.graphing import LEVELS, Graph


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    parser.add_argument(
        "names", nargs="*", metavar="PACKAGE|MODEL|MODEL@TARGET", help="every package, if none"
    )
    parser.add_argument("--format", choices=(*FORMATS, "json"), help="what FILE's name ends in; else mermaid")
    parser.add_argument(
        "--level",
        choices=LEVELS,
        help="a node an action, a model and package, or a stage; action, but model for large graphs",
    )
    parser.add_argument("--status", action="store_true", help="say what is up to date")
    parser.add_argument("-o", "--output", metavar="FILE", help="write to FILE; - is stdout")


_SUFFIXES = {".mmd": "mermaid", ".mermaid": "mermaid", ".dot": "dot", ".gv": "dot", ".json": "json"}


def run(options: argparse.Namespace) -> int:
    """Print the graph, or write it."""
    output = _output(options)
    form = options.format or ("mermaid" if output is None else _form(output))
    if options.json and options.format not in {None, "json"} and output is None:
        raise ModelbuildError(
            f"--json and --format {options.format} ask for two different texts",
            advice=f"leave one out, or write the {options.format} text to a file with -o",
        )
    project = api.open_project(options.directory, options.file)
    level = options.level or ("action" if options.verbose else None)
    graph = api.graph(project, options.names, level, status=options.status)
    if graph.level != "action" and options.level is None:
        count = sum(len(node.actions) for node in graph.nodes)
        console.progress(f"{count} actions: a node a model; `--level action` shows each")
    text = _text(graph, form)
    if output is None:
        console.result(text.removesuffix("\n"), graph.to_json())
        return 0
    whole_file.write(output, text.encode("utf-8", "backslashreplace"))
    console.summary(f"wrote {options.output}", graph.to_json())
    return 0


def _output(options: argparse.Namespace) -> Path | None:
    """Where -o says; None is standard output."""
    if options.output is None:
        return None
    return checked(Path(options.directory), options.file, {"graph -o": options.output})["graph -o"]


def _form(output: Path) -> str:
    """The form that the file's name ends in."""
    form = _SUFFIXES.get(output.suffix.lower())
    if form is None:
        raise ModelbuildError(
            f"-o {output.name} does not say in which form",
            why=f"known endings are {', '.join(_SUFFIXES)}",
            advice=f"write -o {output.stem}.mmd, or choose with --format {'|'.join((*FORMATS, 'json'))}",
        )
    return form


def _text(graph: Graph, form: str) -> str:
    if form == "json":
        return json.dumps(graph.to_json(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    return FORMATS[form](graph)
