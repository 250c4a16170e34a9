"""Our compiler of kmodels beside nncase 1.9: `python -m bench.k210 --output tables.md`.

Both get the same float models and calibration samples, and the unmodified simulator of nncase 1.9 runs what
both make. docs/benchmarks.md says the rest. The command ends with 1 where a criterion fails.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bench import machine, measure
from bench.compare import say
from bench.judges import nncase
from bench.kpu import vendor
from bench.kpu.figures import figures
from bench.kpu.networks import DECLARED, Network, prepare
from bench.kpu.report import HEAD, Line, rendered, rows, shortfalls
from bench.quantizers import declared
from bench.table import table
from bench.tools import OURS, ROOT
from modelbuild.errors import ModelbuildError
from modelbuild.graph.statistics import macs

SAMPLES = 128  # of the evaluation, at most


def main(words: Sequence[str] | None = None) -> int:
    """Parses, measures, prints; 1 where a criterion fails, 2 where it cannot be measured."""
    options = _options(words)
    try:
        networks = declared.read(options.declaration).models
        unknown = sorted(set(options.only or ()) - networks.keys())
        if unknown:
            raise ModelbuildError(f"{unknown[0]} is not declared", where=str(options.declaration))
        nncase.judge()
    except (ModelbuildError, nncase.Unavailable) as error:
        say(str(error))
        return 2
    about = machine.describe()
    lines: list[Line] = []
    failed: list[str] = []
    for name, network in networks.items():
        if not options.only or name in options.only:
            say(name)
            try:
                lines.append(_line(name, network, options.models))
            except (ModelbuildError, nncase.JudgeError, ValueError) as error:
                failed.append(f"{name}: {error}")
            else:
                say("\n".join(table(HEAD, rows(lines[-1]))))
    failed += shortfalls(lines)
    text = rendered([*about, f"nncase {nncase.VERSION}"], lines, failed)
    print(text, end="")
    if options.output:
        options.output.write_text(text, encoding="utf-8")
    return 1 if failed else 0


def _options(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.k210", description=__doc__)
    parser.add_argument("--declaration", metavar="FILE", type=Path, default=DECLARED, help="the networks")
    parser.add_argument(
        "--models",
        action="append",
        type=Path,
        metavar="DIR",
        help="where the declaration's paths start; tried in order (../shared/data, this project)",
    )
    parser.add_argument("--only", nargs="+", metavar="NETWORK", help="of the declaration, these")
    parser.add_argument("--output", metavar="FILE", type=Path, help="write the tables there, too")
    options = parser.parse_args(words)
    options.models = [path.absolute() for path in options.models or (ROOT.parent / "shared/data", ROOT)]
    return options


def _line(name: str, declaration: declared.Network, folders: Sequence[Path]) -> Line:
    """Both compilers on one network."""
    with tempfile.TemporaryDirectory() as work:
        return measured(prepare(name, declaration, folders, Path(work), SAMPLES))


def measured(network: Network) -> Line:
    """Both compilers on a prepared network."""
    theirs = vendor.best(network)
    ours = vendor.judged(network, _compiled(network), "")
    given = [network.evaluation[0]]
    return Line(
        network.name,
        macs(network.graph),
        ours,
        figures(ours.kmodel, given),
        theirs,
        figures(theirs.kmodel, given),
    )


def _compiled(network: Network) -> nncase.Vendor:
    """Our kmodel, made in a process of its own."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.savez(folder / "samples.npz", *network.calibration)
        words = [sys.executable, "-P", "-m", "bench.kpu.ours", str(network.model)]
        words += [str(folder / "samples.npz"), str(folder / "kmodel")]
        try:
            done = measure.run(measure.Command(words, folder, {**OURS, "OMP_NUM_THREADS": "1"}))
        except RuntimeError as error:
            raise ModelbuildError(f"our compiler fails on {network.name}", why=str(error)) from error
        return nncase.Vendor((folder / "kmodel").read_bytes(), done.seconds, done.processor)


if __name__ == "__main__":
    sys.exit(main())
