"""`modelbuild pack`: a model file into a package, without a manifest."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from modelbuild import api
from modelbuild.cli import console, progress, simulated
from modelbuild.cli.options import preprocessing, shapes
from modelbuild.cli.recording.places import checked
from modelbuild.errors import ModelbuildError
from modelbuild.output_file import named
from modelbuild.project.measuring import Measured
from modelbuild.project.options import BuildOptions
from modelbuild.project.pack_manifest import ONLY, PackRequest
from modelbuild.project.packing_file import Packed, manifest_of
from modelbuild.quantize.sample_counts import ADVISED, ENOUGH

NOWHERE = Path(os.devnull)  # where no earlier durations are found, and none are kept


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    add = parser.add_argument
    add("source", metavar="MODEL", help="the model file")
    add("--weights", metavar="FILE", help="its weights, where they are apart: .caffemodel")
    add("--chip", required=True, help="the chip, or the path of its recipe")
    add("--samples", nargs="+", action="extend", default=[], metavar="GLOB", help="calibration files")
    add(
        "--preprocess",
        action="append",
        default=[],
        metavar="[NAME=]PRESET|{...}",
        help="what pictures become: imagenet, unit, kneron, or '{resize: crop, mean: 127, std: 128}'",
    )
    add("--shape", action="append", default=[], metavar="[NAME=]1,3,224,224", help="of an open input")
    add("--accept", action="append", default=[], metavar="KEY=VALUE", help="a bound: snr_db=25")
    add("--id", type=int, help="the model's id in the package (32768)")
    add("--version", default="", metavar="HEX", help="the model's version, four hex digits (0001)")
    add("-o", "--output", metavar="FILE", help="where the package goes; a folder takes its own name")
    add("--force", action="store_true", help="replace FILE though it is no simulator package")
    add("--cache", metavar="DIR", help="keep what the build made, so that the next pack is quick")
    add(
        "--print-manifest",
        action="store_true",
        help="print the models.yaml that this stands for; build nothing",
    )
    add("-j", "--jobs", type=int, metavar="N", help="actions side by side (the number of processors)")


def run(options: argparse.Namespace) -> int:
    """Pack and summarise, or print the manifest."""
    directory = Path(options.directory)
    request = PackRequest(
        source=options.source,
        chip=options.chip,
        directory=directory,
        samples=options.samples,
        preprocess=_preprocess(options.preprocess),
        shapes=_shapes(options.shape),
        accept=_accept(options.accept),
        id=options.id,
        version=options.version,
        weights=options.weights,
    )
    if options.print_manifest:
        _refuse_ignored(options)
        text = manifest_of(request)
        console.result(text.removesuffix("\n"), {"ok": True, "manifest": text})
        return 0
    if options.output is None:
        raise ModelbuildError(
            "-o FILE is missing: where does the package go?", advice="write for instance -o m.nef"
        )
    _check_place(options, directory)
    how = BuildOptions.of(vars(options))
    cache = None if options.cache is None else directory / options.cache
    with progress.shown(cache or NOWHERE) as tell:
        packed = api.pack(
            request,
            directory / options.output,
            cache=cache,
            options=how,
            observer=tell,
            force=options.force,
            warn=lambda text: console.progress(f"{console.paint('warning:', 'yellow')} {text}"),
        )
    if not packed.silicon:
        console.say(f"note: {simulated.warning(packed.path.name, packed.chip)}")
    console.summary(_text(packed, bool(options.preprocess)), packed.to_json())
    return 0


def _refuse_ignored(options: argparse.Namespace) -> None:
    """--print-manifest writes no file: an option for one is a misunderstanding."""
    given = [f"--{name}" for name in ("force", "cache", "jobs") if getattr(options, name)]
    given += ["-o"] if options.output is not None else []
    if given:
        raise ModelbuildError(
            f"--print-manifest builds nothing and writes no file: it does not take {', '.join(given)}",
            advice="leave that out; to save the manifest, redirect it: > models.yaml",
        )


def _check_place(options: argparse.Namespace, directory: Path) -> None:
    """Refuses what a build of the manifest here would remove or put back."""
    named(options.output)
    inside = "/*" if (directory / options.output).is_dir() else ""
    checked(directory, options.file, {"pack -o": options.output + inside})


def _text(packed: Packed, told: bool) -> str:
    found = packed.measured
    snr = ", ".join(f"{name} {value:.2f} dB" for name, value in found.snr_db.items())
    few = f"; {ADVISED} are better" if packed.samples < ENOUGH else ""
    on = "sample" if packed.samples == 1 else f"{packed.samples} samples"
    return "\n".join(
        [
            f"{packed.path}  {packed.size} bytes",
            *([] if packed.description is None else [f"{packed.description}  its names and preprocessing"]),
            f"  SNR: {snr}, on the {on} that calibrated{few}",
            f"  time: {_time(found)}",
            f"  nodes on the CPU: {found.cpu_nodes}",
            *(f"  preprocessing: {_preprocessed(packed, port, told)}" for port in packed.ranges),
        ]
    )


def _time(found: Measured) -> str:
    if found.time_ms is None:
        return "not known"
    counted = f"by the compiler's count of {found.cycles} cycles" if found.cycles is not None else "predicted"
    return f"{found.time_ms:.4g} ms {counted}"


def _preprocessed(packed: Packed, port: str, told: bool) -> str:
    """What becomes of an input's pictures; the wrong scale is what most often spoils a package."""
    spans = ", ".join(f"{low:.6g} to {high:.6g}" for low, high in packed.ranges[port])
    settings = packed.preprocess[port]
    how = ", ".join(str(settings[key]) for key in ("resize", "colour") if settings.get(key))
    advice = "" if told else "; choose with --preprocess if the model was trained on another range"
    return f"makes pictures {spans} in {port} ({how}){advice}"


def _shapes(texts: Sequence[str]) -> dict[str, tuple[int, ...]]:
    named = {text for text in texts if "=" in text}
    found = shapes([text for text in texts if text in named])
    for text in texts:
        if text not in named:
            found[ONLY] = shapes([f"input={text}"])["input"]
    return found


def _preprocess(texts: Sequence[str]) -> dict[str, str | Mapping[str, Any]]:
    found: dict[str, str | Mapping[str, Any]] = {}
    for text in texts:
        if "{" in text:
            found.update(preprocessing([text]))
        else:
            name, _, preset = text.rpartition("=")
            found[name] = preset
    return found


def _accept(texts: Sequence[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        try:
            bound = yaml.safe_load(value)
        except yaml.YAMLError:
            equals = ""
        if not equals or not key.strip():
            raise ModelbuildError(f"--accept {text} is not KEY=VALUE", advice="write --accept snr_db=25")
        found[key.strip()] = bound
    return found
