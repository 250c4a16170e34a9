"""The table of both compilers, and the criteria that ours is to hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.kpu.figures import Figures
from bench.kpu.vendor import Built
from bench.table import table

BETTER_DB = 2.0  # on half of the networks
SIZE_SHARE, SIZE_BYTES = 1.05, 2048  # the larger of the two is allowed
TIMES, SECONDS = 5.0, 3.0  # likewise

HEAD = (
    "network",
    "compiler",
    "SNR, dB",
    "mean of outputs",
    "kmodel, bytes",
    "compiled in, s",
    "of processors",
    "KPU layers",
    "CPU functions",
    "MACs on the KPU, %",
    "main memory",
    "KPU RAM",
    "simulator, ms",
    "from",
)


@dataclass(frozen=True)
class Line:
    """One network; `macs` are those of the float model."""

    name: str
    macs: int
    ours: Built
    our_figures: Figures
    theirs: Built
    their_figures: Figures

    @property
    def better_db(self) -> float:
        """By how much our SNR is the better one."""
        return self.ours.score.pooled_db - self.theirs.score.pooled_db

    def share(self, found: Figures) -> float:
        """Of the model's multiply-accumulate operations, those that the CPU does not do."""
        return 1.0 - found.cpu_macs / self.macs if self.macs else 1.0


def rendered(about: Sequence[str], lines: Sequence[Line], failed: Sequence[str]) -> str:
    """The machine, the table, what fails."""
    body = [row for line in lines for row in rows(line)]
    ends = [f"\nfails: {one}" for one in failed] or ["\nall criteria hold"]
    return "\n".join(["```text", *about, "```", "", *table(HEAD, body), *ends]) + "\n"


def rows(line: Line) -> list[list[str]]:
    """Of the table: ours, theirs."""
    return [_row(line, True), _row(line, False)]


def _row(line: Line, is_ours: bool) -> list[str]:
    built = line.ours if is_ours else line.theirs
    found = line.our_figures if is_ours else line.their_figures
    return [
        line.name,
        "modelbuild" if is_ours else "nncase",
        f"{built.score.pooled_db:.2f}",
        f"{built.score.mean_db:.2f}",
        f"{found.size:,}",
        f"{built.seconds:.2f}",
        f"{built.cpu_seconds:.2f}",
        f"{found.kpu_nodes}",
        f"{found.cpu_nodes}",
        f"{100 * line.share(found):.2f}",
        f"{found.main_bytes:,}",
        f"{found.ram_bytes:,}",
        f"{built.run_seconds * 1000:.1f}",
        built.how,
    ]


def shortfalls(lines: Sequence[Line]) -> list[str]:
    """The criteria that do not hold, one a line."""
    found = [one for line in lines for one in _of_one(line)]
    ahead = sum(line.better_db >= BETTER_DB for line in lines)
    if 2 * ahead < len(lines):
        found.append(f"SNR: better by {BETTER_DB:g} dB on {ahead} of {len(lines)} networks, not on half")
    return found


def _of_one(line: Line) -> list[str]:
    """What is below a network's bounds."""
    ours, theirs = line.our_figures, line.their_figures
    found = []
    if line.better_db < 0:
        scores = line.ours.score.pooled_db, line.theirs.score.pooled_db
        found.append("SNR: {:.2f} dB, nncase has {:.2f}".format(*scores))
    if line.share(ours) < line.share(theirs):
        shares = 100 * line.share(ours), 100 * line.share(theirs)
        found.append("MACs on the KPU: {:.2f} %, nncase has {:.2f} %".format(*shares))
    most = max(theirs.size * SIZE_SHARE, theirs.size + SIZE_BYTES)
    if ours.size > most:
        found.append(f"size: {ours.size:,} bytes, at most {most:,.0f} are wanted")
    longest = max(line.theirs.cpu_seconds * TIMES, SECONDS)
    if line.ours.cpu_seconds > longest:
        found.append(f"compile time: {line.ours.cpu_seconds:.2f} s, at most {longest:.2f} are wanted")
    return [f"{line.name}: {one}" for one in found]
