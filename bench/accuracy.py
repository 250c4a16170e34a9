"""Accuracy beside other quantizers: `python -m bench.accuracy --scratch DIR --output tables.md`.

Every tool gets the same float models and arrays, and one program scores all results. Peers are installed into
scratch environments and run as processes of their own; docs/benchmarks.md says the rest.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path

from bench import machine
from bench.compare import say
from bench.quantizers import declared, environments, measured, report, tools
from bench.quantizers.kept import Kept
from bench.quantizers.measured import Measured
from bench.quantizers.prepared import Prepared, prepare
from bench.quantizers.scores import score
from bench.scratch import folders
from bench.tools import ROOT
from modelbuild.errors import ModelbuildError

QUICK = 64  # evaluation samples


def main(words: Sequence[str] | None = None) -> int:
    """Parses, measures, prints; 1 if one of our lines is below the best peer of its scheme."""
    options = _options(words)
    try:
        with folders(options.scratch) as (scratch, work):
            text, worse = _measured(options, scratch, work)
    except ModelbuildError as error:
        say(str(error))
        return 2
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
    parser.add_argument(
        "--results", metavar="DIR", type=Path, help="keep measured lines there, and take those that are there"
    )
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
    lines: list[Measured] = []
    sections: list[str] = []
    worse: list[str] = []
    for name, network in networks.items():
        if options.only and name not in options.only:
            continue
        say(name)
        most = QUICK if options.quick else None
        kept = Kept(options.results, network, folders, most)
        wanted = [tool for tool in tools.PEERS if tool.environment not in without]
        section, found = _network(
            name,
            [*wanted, *tools.OURS],
            kept,
            partial(prepare, name, network, folders, work, most),
            partial(_interpreter, scratch),
        )
        sections += section
        lines += found
        worse += [f"{name}: {one}" for one in report.behind(found)]
    below = [f"\nbelow the best peer, or without a score: {one}" for one in worse]
    return "\n".join([*about, *report.versions(lines), "```", *sections, *below]) + "\n", worse


@cache
def _interpreter(scratch: Path, name: str) -> Path | str:
    """The Python of an environment, or why there is none."""
    say(f"environment {name}")
    try:
        return environments.interpreter(scratch, name)
    except (RuntimeError, OSError) as error:
        return str(error)


def _network(
    name: str,
    wanted: Sequence[tools.Peer | tools.Ours],
    kept: Kept,
    make: Callable[[], Prepared],
    interpreter: Callable[[str], Path | str],
) -> tuple[list[str], list[Measured]]:
    """The section of one network and its lines; what is kept is not measured again."""
    found = [kept.line(tool) for tool in wanted]
    own_score = kept.reference()
    if own_score is None or None in found:
        given = make()
        try:
            reference = measured.outputs(given.model, given, given.folder)
            if own_score is None:
                own_score = score(reference, reference, given.labels)
                kept.keep_reference(own_score)
            for at, tool in enumerate(wanted):
                if found[at] is None:
                    found[at] = line = _line(tool, given, reference, interpreter)
                    kept.keep(line)
        finally:
            shutil.rmtree(given.folder)
    lines = [line for line in found if line is not None]
    return report.rendered(name, kept.samples, own_score, lines), lines


def _line(
    tool: tools.Peer | tools.Ours, given: Prepared, reference: Path, interpreter: Callable[[str], Path | str]
) -> Measured:
    folder = given.folder / "tool"
    if isinstance(tool, tools.Ours):
        line = measured.ours(tool, given, folder, reference)
    else:
        python = interpreter(tool.environment)
        if isinstance(python, Path):
            line = measured.peer(tool, python, given, folder, reference)
        else:
            line = Measured(tool, reason=python)
    said = line.reason if line.score is None else f"{line.score.snr_db:.2f} dB"
    say(f"  {tool.name}, {tool.scheme}: {said}")
    return line


if __name__ == "__main__":
    sys.exit(main())
