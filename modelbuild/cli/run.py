"""`modelbuild run`: run a model and say what came out."""

from __future__ import annotations

import argparse
import json
from contextlib import nullcontext
from pathlib import Path

import numpy as np

from modelbuild import api
from modelbuild.artifacts import values
from modelbuild.artifacts.running import RunResult, check_place
from modelbuild.cli import console, models
from modelbuild.output_file import named
from modelbuild.project.forms import LEVELS, is_pair


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    parser.add_argument("what", metavar="FILE|MODEL@TARGET", help="what to run")
    models.add_arguments(parser)
    parser.add_argument("--level", choices=LEVELS, help="the form of MODEL@TARGET (fixed)")
    parser.add_argument("--raw", action="store_true", help="integers in and out, as the model holds them")
    parser.add_argument(
        "--source-layout",
        action="store_true",
        help="arrays in and out as the source has them: channels last for TFLite and Keras",
    )
    parser.add_argument("-o", "--output", metavar="FILE.npz", help="write the outputs under their names")


def run(options: argparse.Namespace) -> int:
    """Summaries of the outputs; the arrays themselves go to `-o`."""
    output = None if options.output is None else Path(options.directory) / named(options.output)
    if output is not None:
        check_place(output)
    runner = models.opened(options, options.what, options.level)
    feeds = models.inputs(options, options.what)
    base = Path(options.directory)
    said = nullcontext() if is_pair(options.what) else models.spoken(options, options.what)
    with said, models.postprocessing(options, options.what) as post:
        found = api.run_opened(
            runner, feeds, raw=options.raw, base=base, source_layout=options.source_layout, post=post
        )
    if output is not None:
        api.save_outputs(found, output)
    for note in found.notes:
        console.progress(f"note: {options.what}: {note}")
    text = _text(found)
    if output is not None:
        text += f"\nwrote {options.output}: the outputs under their names"
    console.result(text, found.to_json())
    return 0


def _text(found: RunResult) -> str:
    many = "" if found.samples == 1 else f", {found.samples} samples"
    lines = [f"{found.level} form{many}, {found.time_ms:.1f} ms on this machine"]
    for name, value in found.outputs.items():
        lines.append(f"{name} {list(value.shape)} {value.dtype}: {value.min():.6g} to {value.max():.6g}")
        scores = value.reshape(-1) if found.samples == 1 else np.empty(0)
        if scores.size > 1:
            first = np.argsort(-scores.astype(np.float64), kind="stable")[:5]
            lines.append("  largest: " + ", ".join(f"[{index}] {scores[index]:.6g}" for index in first))
    for index, made in enumerate(found.post or ()):
        lines.append("post:" if found.samples == 1 else f"post of sample {index + 1}:")
        lines += [f"  {line}" for line in json.dumps(values.to_json(made), indent=2).splitlines()]
    return "\n".join(lines)
