"""Raw pictures in: kmodels that preprocess by themselves, beside those that are fed floats.

`python -m bench.kpu.raw` compiles each network of networks.yaml three ways from the same samples: for floats,
with `in_model`, and by nncase 1.9 with the same options. The simulator of nncase runs all three.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench import machine
from bench.compare import say
from bench.judges import nncase
from bench.kpu import ours
from bench.kpu.figures import Figures, figures
from bench.kpu.networks import DECLARED, Arrays, Network, Raw, forms, prepare, raw
from bench.kpu.scores import score
from bench.kpu.vendor import METHODS
from bench.quantizers import declared
from bench.table import table
from bench.tools import ROOT
from modelbuild.samples.preprocess import Preprocess, normalisation, swaps

_WAYS = ("fed", "raw", "nncase raw")
_FIGURES = ("dB", "functions on the CPU", "ms in the simulator")
HEAD = ("network", *(f"{way}: {figure}" for figure in _FIGURES for way in _WAYS))
Column = tuple[str, str, str]
SAMPLES = 32  # of the evaluation, at most
SECONDS = 900


def main(words: Sequence[str] | None = None) -> int:
    """Parses, measures, prints."""
    parser = argparse.ArgumentParser(prog="python -m bench.kpu.raw", description=__doc__)
    parser.add_argument("--models", action="append", type=Path, metavar="DIR")
    parser.add_argument("--only", nargs="+", metavar="NETWORK")
    parser.add_argument("--layout", choices=("NCHW", "NHWC"), default="NCHW")
    options = parser.parse_args(words)
    folders = [path.absolute() for path in options.models or (ROOT.parent / "shared/data", ROOT)]
    rows = []
    for name, network in declared.read(DECLARED).models.items():
        if not options.only or name in options.only:
            say(name)
            rows.append(_row(name, network, folders, options.layout))
            say("\n".join(table(HEAD, rows[-1:])))
    print("\n".join([*machine.describe(), "", *table(HEAD, rows)]))
    return 0


def _row(name: str, network: declared.Network, folders: Sequence[Path], layout: str) -> list[str]:
    with tempfile.TemporaryDirectory() as work:
        prepared = prepare(name, network, folders, Path(work), SAMPLES)
        pixels = raw(network, folders, SAMPLES, layout)
        found = (
            (ours.made(prepared.model, prepared.calibration), prepared.evaluation),
            (ours.made(prepared.model, pixels.calibration, pixels.inside), pixels.evaluation),
        )
        columns = [_judged(made.compiled.kmodel, inputs, prepared.expected) for made, inputs in found]
        columns.append(_theirs(prepared, pixels, Path(work)))
    return [name, *(column[index] for index in range(3) for column in columns)]


def _theirs(network: Network, pixels: Raw, work: Path) -> Column:
    """The best of nncase's calibrations, of the first form of the model that it compiles."""
    options = _options(pixels.inside[network.port.name], network.port)
    samples = [[one] for one in pixels.calibration]
    for form, path in forms(network, work / "forms").items():
        found = []
        try:
            for method in METHODS:
                chosen = {**options, "calibrate_method": method}
                made = nncase.compile_onnx(path, ours.CHIP, chosen, samples, seconds=SECONDS)
                found.append(_judged(made, pixels.evaluation, network.expected))
            return max(found, key=lambda column: float(column[0]))
        except nncase.JudgeError as error:
            say(f"{form}: {str(error).splitlines()[0]}")
    return "none", "", ""


def _options(p: Preprocess, port: declared.Input) -> dict[str, Any]:
    """The same to nncase: mean and std are in units of what is behind the range."""
    assert p.in_model is not None
    channels = port.shape[1]
    found = normalisation(replace(p, in_model=None), channels)
    scale = found[0][0]
    batch, _, height, width = port.shape
    nhwc = p.in_model.input_layout == "NHWC"
    spread = found * 3 if channels == 1 else found
    return {
        "preprocess": True,
        "input_type": "uint8",
        "input_range": [0.0, 255.0 * scale],
        "input_shape": [batch, height, width, channels] if nhwc else list(port.shape),
        "input_layout": p.in_model.input_layout,
        "swapRB": swaps(p),
        "mean": [float(mean) for _, mean, _ in spread],
        "std": [float(std) for _, _, std in spread],
        "letterbox_value": 0.0,
    }


def _judged(data: bytes, inputs: Arrays, expected: Sequence[Arrays]) -> Column:
    found = nncase.run_sets(data, [[one] for one in inputs], seconds=SECONDS)
    costs: Figures = figures(data, [inputs[0]])
    return (
        f"{score(expected, found.outputs).pooled_db:.2f}",
        str(costs.cpu_nodes),
        f"{found.seconds / len(inputs) * 1e3:.1f}",
    )


if __name__ == "__main__":
    sys.exit(main())
