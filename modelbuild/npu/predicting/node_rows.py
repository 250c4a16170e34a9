"""A line for each node of a predicted graph, as Kneron's report lists them: NPU, fused, or CPU."""

from __future__ import annotations

from typing import Any

from modelbuild.npu.predicting.layer_columns import backend
from modelbuild.npu.predicting.prediction import Prediction


def nodes(found: Prediction) -> list[dict[str, Any]]:
    """The `nodes` of evaluate.json, in the graph's order. `layer` is that of the NPU in whose counts the node
    is; `type` is npu for the first of its nodes, and fused for those that are executed with it."""
    graph, units = found.counted.graph, found.counted.units
    rows = {name: row for row in found.rows for name in row.nodes}
    backends = {row.name: backend(found, row) for row in found.npu}
    listed = []
    for node in graph.nodes:
        row, unit = rows[node.name], units[node.name]
        on_npu = row.unit == "npu"
        listed.append(
            {
                "name": node.name,
                "op": node.op,
                "origin": list(node.origin or (node.name,)),
                "type": ("npu" if node.name == row.name else "fused") if on_npu else unit,
                "node_backend": backends[row.name] if on_npu else f"{unit}_fusion_node_{node.name}",
                "layer": row.name if on_npu else None,
            }
        )
    return listed
