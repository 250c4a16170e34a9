"""`modelbuild evaluate`: predicted speed of a model file on a chip, or of what a manifest names."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from modelbuild import api
from modelbuild.cli import console, flags
from modelbuild.cli.options import shapes
from modelbuild.errors import ModelbuildError
from modelbuild.npu.cost import Options
from modelbuild.project.layout import STATE


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    parser.add_argument(
        "names", nargs="*", metavar="FILE|PACKAGE|MODEL|MODEL@TARGET", help="a model file, or what to select"
    )
    parser.add_argument("--chip", action="append", help="the chip, where a file is named")
    parser.add_argument("--edition", help="of the chip's operator table, with --chip; the newest unless told")
    parser.add_argument(
        "--input", action="append", default=[], metavar="NAME=1,3,224,224", help="the shape of an open input"
    )
    parser.add_argument("--weights", metavar="FILE", help="the file's weights, where they are apart")
    parser.add_argument("--clock", type=float, metavar="HZ", help="instead of the recipe's clock")
    parser.add_argument(
        "--bandwidth", type=float, metavar="BYTES_PER_SECOND", help="of reading, writing, weights"
    )
    parser.add_argument("--layers", action="store_true", help="list the layers too")


def run(options: argparse.Namespace) -> int:
    """One object for a file or MODEL@TARGET; a list of them for any other selection."""
    if options.chip is not None:
        if len(options.names) != 1 or len(options.chip) != 1:
            raise ModelbuildError(
                "--chip takes one model file and one chip",
                advice="modelbuild evaluate MODEL.onnx --chip kl720",
            )
        found = [_file(options)]
    else:
        found = _selected(options)
    text = "\n\n".join(_text(item, options.layers) for item in found)
    console.result(text, found[0] if _is_one(options) else {"models": found})
    return 0


def _is_one(options: argparse.Namespace) -> bool:
    if options.chip is not None:
        return True
    from modelbuild.project.forms import is_pair  # loads all that runs a model

    return len(options.names) == 1 and is_pair(options.names[0])


def _file(options: argparse.Namespace) -> dict[str, Any]:
    path = Path(options.directory) / options.names[0]
    chosen = Options(
        clock_hz=options.clock,
        dram_read_bytes_per_second=options.bandwidth,
        dram_write_bytes_per_second=options.bandwidth,
        weight_bytes_per_second=options.bandwidth,
    )
    weights = None if options.weights is None else Path(options.directory) / options.weights
    with flags.spoken():
        return api.evaluate(
            path,
            options.chip[0],
            shapes=shapes(options.input),
            options=chosen,
            weights=weights,
            edition=options.edition,
        )


def _selected(options: argparse.Namespace) -> list[dict[str, Any]]:
    for name in options.names:
        if (Path(options.directory) / name).is_file():
            raise ModelbuildError(
                "which chip?", where=name, advice=f"modelbuild evaluate {name} --chip kl720"
            )
    given = (options.clock, options.bandwidth, options.weights, options.edition)
    if options.input or any(value is not None for value in given):
        raise ModelbuildError(
            "--clock, --bandwidth, --weights, --edition and --input go with --chip",
            why="a manifest's targets use their recipes' facts, and say their `edition:`",
        )
    from modelbuild.cli import progress

    project = api.open_project(options.directory, options.file)
    with progress.shown(project.root / STATE) as tell:
        return api.evaluate_selected(project, options.names, observer=tell)


def _text(found: dict[str, Any], layers: bool) -> str:
    total, npu, cpu = (_number(found[key]) for key in ("total_ms", "time_ms", "cpu_time_ms"))
    lines = [
        f"{found['model']} on {found['chip']}: {_number(found['fps'])} fps, confidence {found['confidence']}",
        f"  {total} ms: NPU {npu} ms, CPU {cpu} ms",
        f"  {found['macs'] / 1e6:.4g} million MACs, {found['cycles']} cycles",
    ]
    lines += [
        f"  on the CPU: {node['op']} {node['name']}: {node['reason']}, {_number(node['time_ms'])} ms"
        for node in found["cpu_nodes"]
    ]
    lines += [
        f"  nothing runs {node['op']} {node['name']}: {node['reason']}; the time is without it"
        for node in found["unsupported"]
    ]
    if layers:
        header = ("layer", "unit", "MACs", "cycles", "ms", "bound")
        rows = [
            (
                item["name"],
                item["unit"],
                str(item["macs"]),
                str(item["cycles"]),
                _number(item["time_ms"]),
                item["bound"],
            )
            for item in found["layers"]
        ]
        lines.append(console.table(header, rows, right=(2, 3, 4)))
    return "\n".join(lines)


def _number(value: float | None) -> str:
    return "not available" if value is None else f"{value:.4g}"
