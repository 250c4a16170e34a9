"""`modelbuild config MODEL@TARGET`: effective settings, each with where it came from."""

from __future__ import annotations

import argparse
import json

from modelbuild import api
from modelbuild.cli import console


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    parser.add_argument("pair", metavar="MODEL@TARGET", help="a model on a target")
    parser.add_argument(
        "--set",
        dest="overrides",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a setting for this run",
    )


def run(options: argparse.Namespace) -> int:
    """A line a setting: key, value, origin."""
    project = api.open_project(options.directory, options.file, options.overrides)
    settings = api.config(project, options.pair)
    rows = [
        (".".join(path), json.dumps(_at(settings.values, path), ensure_ascii=False), origin)
        for path, origin in sorted(settings.origins.items())
    ]
    data = {
        "model": settings.model,
        "target": settings.target,
        "settings": settings.values,
        "origins": {".".join(path): origin for path, origin in sorted(settings.origins.items())},
    }
    console.result(console.table(("setting", "value", "from"), rows), data)
    return 0


def _at(values: object, path: tuple[str, ...]) -> object:
    for key in path:
        assert isinstance(values, dict)
        values = values[key]
    return values
