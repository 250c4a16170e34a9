"""Accuracy beside other quantizers: `python -m bench.accuracy --scratch DIR --output tables.md`.

Every tool gets the same float models and arrays, and one program scores all results. Peers are installed into
scratch environments and run as processes of their own; docs/benchmarks.md says the rest.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench import machine
from bench.compare import say
from bench.quantizers import declared, environments, measured, report, tools
from bench.quantizers.measured import Measured
from bench.quantizers.prepared import Prepared, prepare
from bench.quantizers.scores import score
from bench.tools import ROOT
from modelbuild.errors import ModelbuildError

QUICK = 64  # evaluation samples


def main(words: Sequence[str] | None = None) -> int:
    """Parses, measures, prints; 1 if one of our lines is below the best peer of its scheme."""
    options = _options(words)
    scratch = Path(options.scratch or tempfile.mkdtemp(prefix="bench-")).absolute()
    scratch.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix="run-", dir=scratch))
    try:
        text, worse = _measured(options, scratch, work)
    except ModelbuildError as error:
        say(str(error))
        return 2
    finally:
        shutil.rmtree(work, ignore_errors=True)
        if not options.scratch:
            shutil.rmtree(scratch, ignore_errors=True)
    print(text, end="")
    if options.output:
        Path(options.output).write_text(text, encoding="utf-8")
    return 1 if worse else 0


def _options(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.accuracy", description=__doc__)
    parser.add_argument(
        "--declaration",
        metavar="FILE",
        type=Path,
        default=declared.DEFAULT,
        help="networks and their samples",
    )
    parser.add_argument(
        "--models",
        action="append",
        type=Path,
        metavar="DIR",
        help="where the declaration's paths start; tried in order (../shared/data, this project)",
    )
    parser.add_argument("--only", nargs="+", metavar="NETWORK", help="of the declaration, these")
    parser.add_argument("--quick", action="store_true", help=f"at most {QUICK} evaluation samples")
    parser.add_argument("--no-peers", action="store_true", help="modelbuild alone")
    parser.add_argument(
        "--without", nargs="*", default=[], choices=list(tools.ENVIRONMENTS), help="peers to leave out"
    )
    parser.add_argument("--scratch", metavar="DIR", help="keep the installed peers there for another run")
    parser.add_argument("--output", metavar="FILE", help="write the tables there, too")
    return parser.parse_args(words)


def _measured(options: argparse.Namespace, scratch: Path, work: Path) -> tuple[str, list[str]]:
    folders = [path.absolute() for path in options.models or (ROOT.parent / "shared/data", ROOT)]
    networks = declared.read(options.declaration).models
    unknown = sorted(set(options.only or ()) - networks.keys())
    if unknown:
        raise ModelbuildError(f"{unknown[0]} is not declared", where=str(options.declaration))
    without = list(tools.ENVIRONMENTS) if options.no_peers else options.without
    about = ["```text", *machine.describe()]
    pythons, missing = _interpreters(scratch, without)
    lines: list[Measured] = []
    sections: list[str] = []
    worse: list[str] = []
    for name, network in networks.items():
        if options.only and name not in options.only:
            continue
        say(name)
        given = prepare(name, network, folders, work, QUICK if options.quick else None)
        section, found = _network(given, pythons, missing)
        sections += section
        lines += found
        worse += [f"{name}: {one}" for one in report.behind(found)]
        shutil.rmtree(given.folder)
    below = [f"\nbelow the best peer, or without a score: {one}" for one in worse]
    return "\n".join([*about, *report.versions(lines), "```", *sections, *below]) + "\n", worse


def _interpreters(scratch: Path, without: Sequence[str]) -> tuple[dict[str, Path], dict[str, str]]:
    """Environment -> its Python, and -> why there is none."""
    found, missing = {}, {}
    for name in tools.ENVIRONMENTS:
        if name in without:
            continue
        say(f"environment {name}")
        try:
            found[name] = environments.interpreter(scratch, name)
        except (RuntimeError, OSError) as error:
            missing[name] = str(error)
    return found, missing


def _network(
    given: Prepared, pythons: dict[str, Path], missing: dict[str, str]
) -> tuple[list[str], list[Measured]]:
    reference = measured.outputs(given.model, given, given.folder)
    lines: list[Measured] = []
    folder = given.folder / "tool"
    for tool in tools.PEERS:
        if tool.environment in pythons:
            lines.append(measured.peer(tool, pythons[tool.environment], given, folder, reference))
            _tell(lines[-1])
        elif tool.environment in missing:
            lines.append(Measured(tool, reason=missing[tool.environment]))
    for own in tools.OURS:
        lines.append(measured.ours(own, given, folder, reference))
        _tell(lines[-1])
    samples = tuple(len(list(folder.glob("*.npy"))) for folder in (given.calibration, given.evaluation))
    own_score = score(reference, reference, given.labels)
    return report.rendered(given.name, (samples[0], samples[1]), own_score, lines), lines


def _tell(line: Measured) -> None:
    found = line.reason if line.score is None else f"{line.score.snr_db:.2f} dB"
    say(f"  {line.tool.name}, {line.tool.scheme}: {found}")


if __name__ == "__main__":
    sys.exit(main())
