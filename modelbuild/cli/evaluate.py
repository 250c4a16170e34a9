"""`modelbuild evaluate`: predicted speed of a model file on chips, or of what a manifest names."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from modelbuild import api, whole_file
from modelbuild.cli import console, evaluated, flags
from modelbuild.cli.options import shapes
from modelbuild.errors import ModelbuildError
from modelbuild.npu.choices import FORMATS, TILINGS
from modelbuild.npu.predicting.assumptions import Options
from modelbuild.npu.predicting.comparison import side_by_side
from modelbuild.project.layout import STATE

# What is asked of a file, and has no meaning for what a manifest names.
_OF_FILES = (
    *("input", "weights", "edition", "clock", "bandwidth", "read_bandwidth", "write_bandwidth"),
    *("weight_bandwidth", "batch", "tiling", "activations", "weights_bits", "measured", "format", "advise"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    add, number = parser.add_argument, "BYTES_PER_SECOND"
    add("names", nargs="*", metavar="FILE|PACKAGE|MODEL|MODEL@TARGET", help="a model file, or what to select")
    add("--chip", action="append", help="the chip, where a file is named")
    add("--compare", metavar="CHIP,CHIP", help="the chips, where a file is named: side by side")
    add("--edition", help="of the chip's operator table, with --chip; the newest unless told")
    add("--input", action="append", default=[], metavar="NAME=1,3,224,224", help="the shape of an open input")
    add("--weights", metavar="FILE", help="the file's weights, where they are apart")
    add("--clock", type=float, metavar="HZ", help="instead of the recipe's clock")
    add("--bandwidth", type=float, metavar=number, help="of reading, writing, weights")
    for name in ("read", "write", "weight"):
        add(f"--{name}-bandwidth", type=float, metavar=number, help="of this alone")
    add("--batch", type=int, metavar="N", help="pictures a run; the model's own dimension 0 unless told")
    add("--tiling", choices=TILINGS, help="how maps are cut to the memory on the chip (default)")
    add("--activations", metavar="FORMAT", help="int8, int16 ...; the chip's usual one unless told")
    add("--weights-bits", metavar="FORMAT", help="of weights: int8, int4, int16; the usual one unless told")
    add("--measured", metavar="FILE", help="a board's times, CSV or YAML, to lay beside the prediction")
    add("--format", choices=FORMATS, help="write the vendor's report, too")
    add("-o", "--output", metavar="FILE", help="where that report goes; a folder takes its own name")
    add("--advise", action="store_true", help="try other programs, too, for what would help")
    add("--layers", action="store_true", help="list the layers too")


def run(options: argparse.Namespace) -> int:
    """One object for a file or MODEL@TARGET; a list of them for any other selection."""
    if options.chip is not None or options.compare is not None:
        _of_file(options)
        return 0
    found = _selected(options)
    text = "\n\n".join(evaluated.text(item, options.layers) for item in found)
    console.result(text, found[0] if _is_pair(options) else {"models": found})
    return 0


def _is_pair(options: argparse.Namespace) -> bool:
    from modelbuild.project.forms import is_pair  # loads all that runs a model

    return len(options.names) == 1 and is_pair(options.names[0])


def _of_file(options: argparse.Namespace) -> None:
    chips = _chips(options)
    directory = Path(options.directory)
    asked = api.Asked(
        shapes(options.input),
        _assumed(options),
        _beside(directory, options.weights),
        options.edition,
        _beside(directory, options.measured),
        options.format,
        options.advise,
    )
    with flags.spoken():
        answers = api.answers(directory / options.names[0], chips, asked)
    said = [answer.said for answer in answers]
    if options.compare is not None:
        rows = side_by_side(said)
        console.result(evaluated.compared(said, rows), {"compare": rows, "models": said})
        return
    written = {} if answers[0].report is None else {"report": _write(options, *answers[0].report)}
    lines = [evaluated.text(said[0], options.layers), *(f"  written: {path}" for path in written.values())]
    console.result("\n".join(lines), said[0] | written)


def _chips(options: argparse.Namespace) -> list[str]:
    """Raises where one file and its chips are not what is named."""
    if options.output is not None and options.format is None:
        raise ModelbuildError("--output is where the report of --format goes", advice="add --format kneron")
    if options.compare is None:
        if len(options.names) != 1 or len(options.chip) != 1:
            raise ModelbuildError(
                "--chip takes one model file and one chip",
                advice="modelbuild evaluate MODEL.onnx --chip kl720",
            )
        return list(options.chip)
    chips = [chip for chip in options.compare.split(",") if chip]
    if len(options.names) != 1 or options.chip is not None or not chips or len(set(chips)) < len(chips):
        raise ModelbuildError(
            "--compare takes one model file, and each chip once",
            advice="modelbuild evaluate MODEL.onnx --compare kl520,kl720,modalix",
        )
    if options.format is not None or options.measured is not None:
        raise ModelbuildError("--format and --measured are of one chip", advice="name it with --chip")
    return chips


def _assumed(options: argparse.Namespace) -> Options:
    def bandwidth(own: float | None) -> float | None:
        return options.bandwidth if own is None else own

    return Options(
        clock_hz=options.clock,
        dram_read_bytes_per_second=bandwidth(options.read_bandwidth),
        dram_write_bytes_per_second=bandwidth(options.write_bandwidth),
        weight_bytes_per_second=bandwidth(options.weight_bandwidth),
        batch=options.batch,
        tiling=options.tiling or TILINGS[0],
        activations=options.activations,
        weights=options.weights_bits,
    )


def _beside(directory: Path, name: str | None) -> Path | None:
    return None if name is None else directory / name


def _write(options: argparse.Namespace, name: str, data: bytes) -> str:
    """The report's file, complete or as it was."""
    path = Path(options.directory) / (options.output or name)
    path = path / name if path.is_dir() else path
    whole_file.write(path, data)
    return str(path)


def _selected(options: argparse.Namespace) -> list[dict[str, Any]]:
    for name in options.names:
        if (Path(options.directory) / name).is_file():
            raise ModelbuildError(
                "which chip?", where=name, advice=f"modelbuild evaluate {name} --chip kl720"
            )
    given = [name for name in (*_OF_FILES, "output") if getattr(options, name) not in (None, [], False)]
    if given:
        raise ModelbuildError(
            f"--{given[0].replace('_', '-')} goes with --chip",
            why="a manifest's targets use their recipes' facts, and say their `edition:`; `compile:` and "
            "`quantize:` have tiling, batch and number formats",
        )
    from modelbuild.cli import progress

    project = api.open_project(options.directory, options.file)
    with progress.shown(project.root / STATE) as tell:
        return api.evaluate_selected(project, options.names, observer=tell)
