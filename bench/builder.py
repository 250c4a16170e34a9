"""modelbuild beside ninja, make, doit and DVC: `python -m bench.builder --actions 1000 10000`.

Prints the tables of docs/benchmarks.md. Run it on a quiet machine; the ranges tell whether it was one.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from bench import machine, peers
from bench.compare import Row, compare, rendered, say
from bench.hook import hook
from bench.overhead import edit_one, whole
from bench.scratch import folders
from modelbuild.build.jobs import processors

NAMES = ("ninja", "make", "doit", "dvc")
HOOK_ACTIONS = 1000
EDIT_MODELS = 1000


def main(words: Sequence[str] | None = None) -> int:
    """Parses, measures, prints."""
    options = _options(words)
    lines = ["```text", *machine.describe()]
    with folders(options.scratch) as (scratch, work):
        found, missing = _peers(scratch, NAMES if options.no_peers else options.without)
        lines += [f"{peer.name}: {machine.version(peer.version)}" for peer in found.values()]
        lines += [*missing, f"median of {options.runs} runs, each a fresh process, all in turn", "```"]
        lines += _sections(options, found, work)
    text = "\n".join(lines) + "\n"
    print(text, end="")
    if options.output:
        Path(options.output).write_text(text, encoding="utf-8")
    return 0


def _options(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.builder", description=__doc__)
    parser.add_argument("--actions", nargs="*", type=int, default=[1000, 10000], metavar="N")
    parser.add_argument("--runs", type=int, default=7, help="runs that count, of each command")
    parser.add_argument("--hook", action="store_true", help=f"a no-op in a git hook, {HOOK_ACTIONS} actions")
    parser.add_argument("--edit-one", action="store_true", help=f"edit one model of {EDIT_MODELS}")
    parser.add_argument(
        "--overhead", action="store_true", help="a first build with one worker, less the work"
    )
    parser.add_argument("--models", type=int, default=EDIT_MODELS, help="models of --edit-one and --overhead")
    parser.add_argument("--no-real", action="store_true", help="without real models: no long first build")
    parser.add_argument("--no-peers", action="store_true", help="modelbuild alone")
    parser.add_argument("--without", nargs="*", default=[], choices=NAMES, help="peers to leave out")
    parser.add_argument("--scratch", metavar="DIR", help="keep the installed peers there for another run")
    parser.add_argument("--output", metavar="FILE", help="write the tables there, too")
    return parser.parse_args(words)


def _peers(scratch: Path, without: Sequence[str]) -> tuple[dict[str, peers.Peer], list[str]]:
    """Those that are there, and lines on those that are not."""
    notes = [f"not asked for: {', '.join(without)}"] if without else []
    if set(without) == set(NAMES):
        return {}, notes
    say("installing peers")
    trouble = peers.install(scratch)
    found = peers.peers(scratch, processors())
    absent = [name for name in NAMES if name not in found]
    if absent:
        notes.append(f"absent: {', '.join(absent)} ({trouble or 'not on this machine'})")
    return {name: peer for name, peer in found.items() if name not in without}, notes


def _sections(options: argparse.Namespace, found: dict[str, peers.Peer], work: Path) -> list[str]:
    lines: list[str] = []
    rows: list[Row] = []
    notes: list[str] = []
    for count in options.actions:
        say(f"{count:,} tasks")
        more, said = compare(count, found, work, options.runs, not options.no_real)
        rows += more
        notes += said
    if rows:
        lines += ["", *rendered(rows), *(f"\n{note}." for note in notes)]
    if options.overhead:
        say("overhead")
        lines += ["", *whole(options.models, work / "whole")]
    if options.edit_one:
        say("edit one")
        lines += ["", *edit_one(options.models, work / "edit", options.runs)]
    if options.hook:
        say("hook")
        lines += ["", *hook(HOOK_ACTIONS, work / "hook", options.runs)]
    return lines


if __name__ == "__main__":
    sys.exit(main())
