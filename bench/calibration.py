"""What calibration takes: `python -m bench.calibration --scratch DIR --output tables.md`.

Seconds and peak memory beside onnxruntime's min-max and NNCF, with few samples and with many; and what a
changed setting takes once the model has been observed. Seconds go from the float model and the samples to the
quantized model on the disk, without imports: of peers the one call that quantizes, of ours the stages
`measured.QUANTIZING`. Stages run at low priority, so that times of ours are too long on a busy machine. Ends
with 1 where a bound does not hold.
"""

from __future__ import annotations

import argparse
import compileall
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import yaml

from bench import machine
from bench.compare import say
from bench.measure import Run, interleaved, middle
from bench.quantizers import declared, environments, measured, tools
from bench.quantizers.prepared import Prepared, arrays, prepare
from bench.scratch import folders
from bench.table import table
from bench.tools import ROOT
from modelbuild.errors import ModelbuildError
from modelbuild.samples.loader import spread

MOST_MB, MOST_TIMES, MOST_GROWTH, MOST_SECONDS = 400, 1.5, 1.1, 2.0
CHIP = "modalix"
# Ours -> its settings, and the peer whose time it is held against.
OURS: Mapping[str, tuple[dict[str, Any], str]] = {
    "modelbuild, min-max": ({"range": {"method": "minmax"}}, "onnxruntime MinMax"),
    "modelbuild, default": ({}, "NNCF mixed"),
}
BUILT: Mapping[str, Any] = {"range": {"method": "minmax"}}  # before the first change
CHANGES: Mapping[str, dict[str, Any]] = {
    "the default": {},
    "`range: {method: percentile, percentile: 99.9}`": {
        "range": {"method": "percentile", "percentile": 99.9}
    },
    "`range: {method: percentile, percentile: 99.99}`": {
        "range": {"method": "percentile", "percentile": 99.99}
    },
    "`range: {method: mse}`": {"range": {"method": "mse"}},
    "`range: {method: entropy}`": {"range": {"method": "entropy"}},
    "`activations: int16`": {"activations": "int16"},
}
HEAD = ("tool", "samples", "s", "peak MB", "times the peer")
CHANGE_HEAD = ("changed to", "stages that ran", "s of the stage", "s of the command")


@dataclass(frozen=True)
class Line:
    """A tool with a number of samples; `times` its peer's seconds, where it has one."""

    tool: str
    samples: int
    run: Run
    times: float | None = None


def main(words: Sequence[str] | None = None) -> int:
    """Parses, measures, prints; 1 where a bound does not hold."""
    options = _options(words)
    try:
        with folders(options.scratch) as (scratch, work):
            text, broken = _measured(options, scratch, work)
    except (ModelbuildError, RuntimeError) as error:
        say(str(error))
        return 2
    print(text, end="")
    if options.output:
        Path(options.output).write_text(text, encoding="utf-8")
    return int(bool(broken))


def _options(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.calibration", description=__doc__)
    parser.add_argument("--declaration", metavar="FILE", type=Path, default=declared.DEFAULT)
    parser.add_argument("--models", action="append", type=Path, metavar="DIR", help="as for bench.accuracy")
    parser.add_argument("--network", default="mobilenetv2", help="one of the declaration")
    parser.add_argument("--samples", type=int, nargs="+", default=[64, 512], metavar="N")
    parser.add_argument("--runs", type=int, default=3, help="of each tool; the median counts")
    parser.add_argument("--no-peers", action="store_true", help="modelbuild alone")
    parser.add_argument("--scratch", metavar="DIR", help="keep the installed peers there for another run")
    parser.add_argument("--output", metavar="FILE", help="write the tables there, too")
    return parser.parse_args(words)


def _measured(options: argparse.Namespace, scratch: Path, work: Path) -> tuple[str, list[str]]:
    folders = [path.absolute() for path in options.models or (ROOT.parent / "shared/data", ROOT)]
    network = declared.read(options.declaration).models.get(options.network)
    if network is None:
        raise ModelbuildError(f"{options.network} is not declared", where=str(options.declaration))
    given = prepare(options.network, network, folders, work, 1)
    compileall.compile_dir(ROOT / "modelbuild", quiet=1)  # as an installer does; the peers' files are, too
    lines: list[Line] = []
    for count in options.samples:
        say(f"{count} samples")
        peers = {} if options.no_peers else _peers(scratch)
        lines += _lines(_with(given, network, folders, count), count, peers, options.runs)
    say("changes")
    changes = _changes(given, work / "changes")
    broken = [*_beyond(lines), *(change[0] for change in changes if not change[-1])]
    text = [
        "```text",
        *machine.describe(),
        "```",
        "",
        *table(HEAD, [_cells(line) for line in lines]),
        "",
        *table(CHANGE_HEAD, [change[1] for change in changes]),
        *(f"\ndoes not hold: {one}" for one in broken),
    ]
    return "\n".join(text) + "\n", broken


def _peers(scratch: Path) -> dict[str, tuple[tools.Peer, Path]]:
    wanted = {peer for _, peer in OURS.values()}
    found = [tool for tool in tools.PEERS if tool.name in wanted and tool.scheme == tools.ASYMMETRIC]
    return {tool.name: (tool, environments.interpreter(scratch, tool.environment)) for tool in found}


def _with(given: Prepared, network: declared.Network, folders: Sequence[Path], count: int) -> Prepared:
    """The network with `count` samples: of the calibration, then of the evaluation, then again."""
    first = declared.gather(network.calibration, folders).files
    more = declared.gather(network.evaluation, folders, None, set(first)).files
    files = [first[at] for at in spread(min(count, len(first)), len(first))]
    files += islice(cycle([*more, *first]), count - len(files))
    folder = given.folder / f"calibration-{count}"
    arrays(files, network.input, folder)
    return replace(given, calibration=folder)


def _lines(
    given: Prepared, count: int, peers: Mapping[str, tuple[tools.Peer, Path]], runs: int
) -> list[Line]:
    commands: dict[str, Callable[[int], Run]] = {}
    for name, (peer, python) in peers.items():
        commands[name] = partial(_run, given, partial(measured.by_peer, peer, python, given))
    for name, (settings, _) in OURS.items():
        tool = tools.Ours(name, tools.ASYMMETRIC, CHIP, settings)
        commands[name] = partial(_run, given, partial(measured.by_us, tool, given))
    found = {
        name: middle(done) for name, done in interleaved(commands, dict.fromkeys(commands, runs)).items()
    }
    lines = []
    for name, done in found.items():
        beside = found.get(OURS[name][1]) if name in OURS else None
        lines.append(Line(name, count, done, None if beside is None else done.seconds / beside.seconds))
    return lines


def _run(given: Prepared, quantize: Callable[[Path], measured.Quantized], number: int) -> Run:
    """One run in a folder of its own; the seconds are those of quantizing."""
    work = given.folder / "tool"
    work.mkdir()
    try:
        done = quantize(work)
    finally:
        shutil.rmtree(work)
    say(f"  {number}: {done.seconds:.2f} s, {done.peak_mb:.0f} MB")
    return Run(done.seconds, done.peak_mb)


def _changes(given: Prepared, work: Path) -> list[tuple[str, list[str], bool]]:
    """(change, cells, whether it ran nothing but `quantize`, in time), after a build with min-max."""
    work.mkdir()
    found = []
    for name, settings in {"": BUILT, **CHANGES}.items():
        tool = tools.Ours("", tools.ASYMMETRIC, CHIP, settings)
        (work / "models.yaml").write_text(yaml.safe_dump(measured.manifest(tool, given)), encoding="utf-8")
        done = measured.build(work, "quantize")
        ran = measured.stage_seconds(work)
        if name:
            held = set(ran) == {"quantize"} and done.seconds <= MOST_SECONDS
            cells = [name, ", ".join(ran), f"{sum(ran.values()):.2f}", f"{done.seconds:.2f}"]
            found.append((name, cells, held))
    return found


def _beyond(lines: Sequence[Line]) -> list[str]:
    """What is above a bound, in words."""
    found = []
    fewest = {line.tool: line.run.peak_mb for line in reversed(lines)}
    for line in lines:
        where = f"{line.tool}, {line.samples} samples"
        if line.tool in OURS and line.run.peak_mb > MOST_MB:
            found.append(f"{where}: {line.run.peak_mb:.0f} MB of {MOST_MB}")
        if line.tool in OURS and line.run.peak_mb > MOST_GROWTH * fewest[line.tool]:
            found.append(
                f"{where}: {line.run.peak_mb / fewest[line.tool]:.2f} times the memory of few samples"
            )
        if line.times is not None and line.times > MOST_TIMES:
            found.append(f"{where}: {line.times:.2f} times {OURS[line.tool][1]}, of {MOST_TIMES}")
    return found


def _cells(line: Line) -> list[str]:
    times = "" if line.times is None else f"{line.times:.2f}"
    return [line.tool, str(line.samples), f"{line.run.seconds:.2f}", f"{line.run.peak_mb:.0f}", times]


if __name__ == "__main__":
    sys.exit(main())
