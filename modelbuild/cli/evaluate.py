"""`modelbuild evaluate`: predicted speed of a model file on chips, or of what a manifest names."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelbuild import api, whole_file
from modelbuild.cli import console, evaluated, evaluated_chips, flags, report_file, speeds
from modelbuild.cli.options import shapes
from modelbuild.errors import ModelbuildError
from modelbuild.npu.choices import FORMATS, TILINGS
from modelbuild.npu.predicting.comparison import side_by_side
from modelbuild.project.layout import STATE

if TYPE_CHECKING:
    from modelbuild.build.result import Observer

# Options that a manifest's models do not take -> why.
_OF_FILES = {
    "chip": "a target names its chip; `MODEL@TARGET --compare CHIP,CHIP` has others",
    "input": "the manifest says the shapes, as `inputs:` of the model",
    "weights": "the manifest names the file, as `weights:` of the model",
}
# Options that one MODEL@TARGET takes, and no selection of several -> why.
_OF_ONE = {
    "compare": "chips are put side by side for one model",
    "edition": "editions are those of one chip's toolchain; targets say theirs as `edition:`",
    "measured": "a board's times are those of one model on one chip",
    "format": "a vendor's report is of one model on one chip",
}
_BANDWIDTHS = {
    "dram_read_bytes_per_second": "read_bandwidth",
    "dram_write_bytes_per_second": "write_bandwidth",
    "weight_bytes_per_second": "weight_bandwidth",
}
# What is assumed -> the option that tells it.
_TOLD = {
    "clock_hz": "clock",
    **_BANDWIDTHS,
    "batch": "batch",
    "tiling": "tiling",
    "activations": "activations",
    "weights": "weights_bits",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    add, number = parser.add_argument, "BYTES_PER_SECOND"
    add("names", nargs="*", metavar="FILE|PACKAGE|MODEL|MODEL@TARGET", help="a model file, or what to select")
    add("--chip", action="append", help="the chip, where a file is named")
    add("--compare", metavar="CHIP,CHIP", help="chips side by side, for a file or MODEL@TARGET")
    add("--edition", help="of the chip's operator table; the target's, or the newest, unless told")
    add("--input", action="append", default=[], metavar="NAME=1,3,224,224", help="the shape of an open input")
    add("--weights", metavar="FILE", help="the file's weights, where they are apart")
    add("--clock", metavar="HZ", help="instead of the recipe's clock")
    add("--bandwidth", metavar=number, help="of reading, writing, weights")
    for name in ("read", "write", "weight"):
        add(f"--{name}-bandwidth", metavar=number, help="of this alone")
    add("--batch", type=int, metavar="N", help="pictures a run; the target's or the model's own unless told")
    add("--tiling", choices=TILINGS, help="how maps are cut to the memory on the chip (default)")
    add("--activations", metavar="FORMAT", help="int8, int16 ...; the target's or the usual one unless told")
    add("--weights-bits", metavar="FORMAT", help="of weights: int8, int4, int16; likewise")
    add("--measured", metavar="FILE", help="a board's times, CSV or YAML, to lay beside the prediction")
    add("--format", choices=FORMATS, help="write the vendor's report, too")
    add("-o", "--output", metavar="FILE", help="where that report goes; a folder takes its own name")
    add("--advise", action="store_true", help="try other programs, too, for what would help")
    add("--layers", action="store_true", help="list the layers too")


def run(options: argparse.Namespace) -> int:
    """One object for a file or MODEL@TARGET; a list of them for any other selection."""
    if options.output is not None and options.format is None:
        raise ModelbuildError("--output is where the report of --format goes", advice="add --format kneron")
    _told(options)  # what no chip can have is told before anything is read
    answers = _of_file(options) if _is_file(options) else _of_manifest(options)
    said = [answer.said for answer in answers]
    if options.compare is not None:
        rows = side_by_side(said)
        console.result(
            evaluated_chips.compared(said, rows, options.layers, options.advise),
            {"compare": rows, "models": said},
        )
        return 0
    text = "\n\n".join(evaluated.text(item, options.layers) for item in said)
    if options.format is not None:
        written = _write(options, answers[0])
        text = f"{text}\n  written: {', '.join(written.values())}"
        said = [said[0] | written]
    is_one = _is_file(options) or _is_pair(options)
    console.result(text, said[0] if is_one else {"models": said})
    return 0


def _is_file(options: argparse.Namespace) -> bool:
    """Whether files are what is named, there or not; a chip goes with nothing else."""
    named = options.chip is not None or options.compare is not None
    there = any((Path(options.directory) / name).is_file() for name in options.names)
    return there or (named and not _is_pair(options))


def _is_pair(options: argparse.Namespace) -> bool:
    """Whether one MODEL@TARGET is named."""
    names = options.names
    return len(names) == 1 and "@" in names[0] and not (Path(options.directory) / names[0]).exists()


def _of_file(options: argparse.Namespace) -> Sequence[api.Answer]:
    chips = _chips(options)
    with flags.spoken(), _drawn() as tell:
        return api.answers(Path(options.directory) / options.names[0], chips, _asked(options), tell)


def _drawn() -> AbstractContextManager[Observer | None]:
    """The display of builds, on a terminal; nothing of it is loaded elsewhere."""
    if console.is_quiet() or not console.is_terminal(sys.stderr):
        return nullcontext()
    from modelbuild.cli import progress

    return progress.drawn()


def _of_manifest(options: argparse.Namespace) -> Sequence[api.Answer]:
    """What is built, where nothing else is asked for; else what is predicted beside it."""
    from modelbuild.cli import progress

    _refuse(options)
    chips = _compared(options.compare)
    project = api.open_project(options.directory, options.file)
    asked = _asked(options)
    is_other = any((asked.told, asked.edition, asked.measured, asked.form, asked.advise, chips))
    with progress.shown(project.root / STATE) as tell:
        if is_other:
            return api.assumed(project, options.names, asked, chips, tell)
        return [api.Answer(said) for said in api.evaluate_selected(project, options.names, observer=tell)]


def _refuse(options: argparse.Namespace) -> None:
    """Raises for options that a file alone takes, and for those of one model where several are selected."""
    for name, why in _OF_FILES.items():
        if getattr(options, name):
            raise ModelbuildError(
                f"--{name} is for a model file, not for what a manifest names",
                why=why,
                advice="leave it out, or name a model file",
            )
    for name, why in _OF_ONE.items():
        if getattr(options, name) is not None and not _is_pair(options):
            raise ModelbuildError(
                f"--{name} takes one model on one target", why=why, advice="name it: MODEL@TARGET"
            )


def _chips(options: argparse.Namespace) -> Sequence[str]:
    """Of a file. Raises where one file and its chips are not what is named."""
    if options.compare is not None:
        if options.chip is not None:
            raise ModelbuildError("--compare names the chips itself", advice="leave --chip out")
        if len(options.names) != 1:
            raise _of_comparing()
        return _compared(options.compare)
    if options.chip is None:
        name = options.names[0]
        raise ModelbuildError("which chip?", where=name, advice=f"modelbuild evaluate {name} --chip kl720")
    if len(options.names) != 1 or len(options.chip) != 1:
        raise ModelbuildError(
            "--chip takes one model file and one chip", advice="modelbuild evaluate MODEL.onnx --chip kl720"
        )
    return [str(chip) for chip in options.chip]


def _compared(words: str | None) -> Sequence[str]:
    if words is None:
        return ()
    chips = [chip.strip() for chip in words.split(",") if chip.strip()]
    if not chips or len(set(chips)) < len(chips):
        raise _of_comparing()
    return chips


def _of_comparing() -> ModelbuildError:
    return ModelbuildError(
        "--compare takes one model, a file or MODEL@TARGET, and each chip once",
        advice="modelbuild evaluate MODEL.onnx --compare kl520,kl720,modalix",
    )


def _asked(options: argparse.Namespace) -> api.Asked:
    if options.compare is not None and (options.format is not None or options.measured is not None):
        raise ModelbuildError("--format and --measured are of one chip", advice="leave --compare out")
    directory = Path(options.directory)
    return api.Asked(
        shapes(options.input),
        _told(options),
        _beside(directory, options.weights),
        options.edition,
        _beside(directory, options.measured),
        options.format,
        options.advise,
    )


def _told(options: argparse.Namespace) -> dict[str, Any]:
    """What is assumed in place of the recipe's facts and of the model's settings."""
    found = {fact: getattr(options, name) for fact, name in _TOLD.items()}
    found["clock_hz"] = speeds.hertz("--clock", options.clock)
    of_all = speeds.bytes_per_second("--bandwidth", options.bandwidth)
    for fact, name in _BANDWIDTHS.items():
        of_one = speeds.bytes_per_second(f"--{name.replace('_', '-')}", found[fact])
        found[fact] = of_all if of_one is None else of_one
    return {fact: value for fact, value in found.items() if value is not None}


def _beside(directory: Path, name: str | None) -> Path | None:
    return None if name is None else directory / name


def _write(options: argparse.Namespace, answer: api.Answer) -> dict[str, str]:
    """The report's file and that of its table, each complete or as it was; what they are -> their paths."""
    assert answer.report is not None
    root = Path(options.directory)
    named = {
        "model": options.names[0],
        "file of measured times": options.measured,
        "file of weights": options.weights,
    }
    read = {what: root / given for what, given in named.items() if given is not None}
    name, data = answer.report
    files = {"report": (report_file.place(root, options.file, options.output, name, read), data)}
    if answer.table is not None:
        name, data = answer.table
        output = report_file.beside(root, options.output, name)
        files["report_nodes"] = (report_file.place(root, options.file, output, name, read), data)
    for path, data in files.values():
        whole_file.write(path, data)
    return {what: str(path) for what, (path, _) in files.items()}
