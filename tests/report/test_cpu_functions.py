"""Rows of the report's table of the CPU."""

from __future__ import annotations

from modelbuild.report.cpu_functions import rows
from modelbuild.report.measurements import CpuNode

NODES = [
    *(
        CpuNode(name=f"p{index}", op="pad", reason="brings maps", counted="bytes", time_ms=0.5)
        for index in range(4)
    ),
    CpuNode(name="add", op="binary", reason="two tensors", counted="cells", time_ms=2.0),
    CpuNode(name="p9", op="pad", reason="brings maps", counted="bytes"),
    CpuNode(name="s" * 100, op="slice", reason="brings maps", counted="bytes", time_ms=1.0),
]


def test_functions_of_a_kmodel_with_one_reason_are_one_row() -> None:
    pads, add, cut = rows(NODES, together=True)
    assert (pads.name, pads.op, pads.time_ms) == ("p0, p1 … p9 (5)", "pad", 2.0)
    assert pads.title == "p0, p1, p2, p3, p9"
    assert (add.name, add.title, add.time_ms) == ("add", "add", 2.0)
    assert len(cut.name) < 100 and cut.title == "s" * 100


def test_nodes_of_other_chips_are_a_row_each() -> None:
    assert [row.title for row in rows(NODES, together=False)] == [node.name for node in NODES]
