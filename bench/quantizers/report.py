"""Measured lines -> the tables: schemes apart, the best peer marked, ours less the best peer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.quantizers.measured import Measured
from bench.quantizers.scores import Score
from bench.quantizers.tools import SCHEMES, Ours
from bench.table import table

_HEAD = ["tool", "activations", "SNR dB", "mean of samples", "- best peer", "top-1 points", "s", "peak MB"]


def best(lines: Sequence[Measured], scheme: str) -> Measured | None:
    """The peer of that scheme with the highest pooled SNR; of equal ones the first."""
    peers = [line for line in lines if line.tool.scheme == scheme and line.score and not _is_ours(line)]
    return max(peers, key=lambda line: _snr(line), default=None)


def behind(lines: Sequence[Measured]) -> list[str]:
    """Our lines that are below the best peer of their scheme, or have no score."""
    found = []
    for line in lines:
        if _is_ours(line):
            leader = best(lines, line.tool.scheme)
            if line.score is None or (leader is not None and _snr(line) < _snr(leader)):
                found.append(f"{line.tool.name} ({line.tool.scheme})")
    return found


def rendered(name: str, samples: tuple[int, int], reference: Score, lines: Sequence[Measured]) -> list[str]:
    """The section of one network. `samples` are those of calibration and evaluation."""
    top = "" if reference.top1 is None else f", float top-1 {reference.top1:.1%}"
    rows = [
        _row(line, reference, lines) for scheme in SCHEMES for line in lines if line.tool.scheme == scheme
    ]
    about = f"{samples[0]} calibration and {samples[1]} evaluation samples{top}."
    return ["", f"### {name}", "", about, "", *table(_HEAD, rows)]


def versions(lines: Sequence[Measured]) -> list[str]:
    """What each environment's peer said it is made of, once."""
    said: Mapping[str, None] = dict.fromkeys(
        ", ".join(f"{name} {version}" for name, version in line.versions.items())
        for line in lines
        if line.versions
    )
    return list(said)


def _row(line: Measured, reference: Score, lines: Sequence[Measured]) -> list[str]:
    leader = best(lines, line.tool.scheme)
    name = f"**{line.tool.name}**" if line is leader else line.tool.name
    if line.score is None:
        return [name, line.tool.scheme, line.reason, "", "", "", "", ""]
    ahead = f"{_snr(line) - _snr(leader):+.2f}" if leader is not None and _is_ours(line) else ""
    lost = ""
    if line.score.top1 is not None and reference.top1 is not None:
        lost = f"{(line.score.top1 - reference.top1) * 100:+.2f}"
    seconds = "" if line.seconds is None else f"{line.seconds:.1f}"
    peak = "" if line.peak_mb is None else f"{line.peak_mb:.0f}"
    decibels = [f"{line.score.snr_db:.2f}", f"{line.score.snr_db_mean:.2f}"]
    return [name, line.tool.scheme, *decibels, ahead, lost, seconds, peak]


def _is_ours(line: Measured) -> bool:
    return isinstance(line.tool, Ours)


def _snr(line: Measured) -> float:
    assert line.score is not None
    return line.score.snr_db
