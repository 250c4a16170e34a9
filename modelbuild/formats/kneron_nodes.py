"""The table of nodes in Kneron's report on a model, as CSV: a line a node, NPU, FUSED or CPU."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import astuple, dataclass

NAME = "model_fx_report.csv"
NOTHING = "N/A"
_FIRST = ("", "node", "node origin", "type", "node backend")
# Those of all chips but the oldest.
_COUNTED = (
    *("CMD_node_idx", "bw in", "bw out", "bw weight", "MAC_cycle", "MAC_runtime(ms)", "RDMA_runtime(ms)"),
    *("RDMA_amount(Byte)", "WDMA_runtime(ms)", "WDMA_amount(Byte)", "Weight_amount(Byte)"),
    *("CFUNC_runtime(ms)", "PFUNC_runtime(ms)", "runtime(ms)", "SYNC_runtime(ms)", "in_fmt", "out_fmt"),
)
BEGINNING = ",".join(_FIRST).encode()


@dataclass(frozen=True)
class Counts:
    """What the NPU does for a node and what is fused into it, in the order of the columns: bits, cycles and
    bytes of a run, ms of one inference. `runtime_ms` is the sum of functions and transfers, `sync_ms` what
    remains where they overlap."""

    command: int | None
    bits_in: int | str | None
    bits_out: int | str | None
    bits_weight: int | None
    mac_cycles: int
    mac_ms: float
    read_ms: float
    read_bytes: int
    write_ms: float
    write_bytes: int
    weight_bytes: int
    cfunc_ms: float
    pfunc_ms: float
    runtime_ms: float
    sync_ms: float
    format_in: str | None
    format_out: str | None


@dataclass(frozen=True)
class NodeLine:
    """A node: `type` is NPU, FUSED or CPU; of the last two nothing is counted by itself."""

    name: str
    origin: Sequence[str]
    type: str
    backend: str
    counts: Counts | None = None


def node_table(lines: Sequence[NodeLine], counted: bool) -> str:
    """The table; without `counted` the first columns alone, which are the oldest chip's."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow((*_FIRST, *(_COUNTED if counted else ())))
    for number, line in enumerate(lines, 1):
        first = (number, line.name, " ".join(line.origin), line.type, line.backend)
        writer.writerow((*first, *(_cells(line.counts) if counted else ())))
    return text.getvalue()


def _cells(counts: Counts | None) -> Sequence[str]:
    if counts is None:
        return [NOTHING] * len(_COUNTED)
    return [_cell(value) for value in astuple(counts)]


def _cell(value: float | str | None) -> str:
    if value is None:
        return NOTHING
    return f"{value:g}" if isinstance(value, float) else str(value)
