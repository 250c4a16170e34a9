"""What training leaves in a model: Dropout with its mask, BatchNormalization with its running statistics."""

from __future__ import annotations

import numpy as np

from modelbuild.errors import ModelbuildError
from modelbuild.graph import shapes
from modelbuild.graph.model import Array, Graph, Node

_ADVICE = "export the model in inference mode: `model.eval()`"


_FIRST_PLAIN = 14  # the operator set from which on a BatchNormalization is told whether it trains
_FIRST_SPATIAL = 9  # and that from which on it has one number a channel in any case


def settle_normalizations(graph: Graph, notes: list[str]) -> bool:
    """Leaves one output to each BatchNormalization; whether a runtime takes one otherwise than it is here.

    Before set 14 the further outputs, also those without a name, were what made it work as in training, over
    the batch. Exporters leave them by mistake, read by nothing: it then takes its stored statistics, and the
    notes say so. Raises for those that are in training mode by attribute, or whose further outputs are read.
    """
    changed = False
    read = {name for node in graph.nodes for name in node.inputs} | set(graph.outputs)
    for node in graph.nodes:
        if node.op != "BatchNormalization" or node.domain:
            continue
        more = {name for name in node.outputs[1:] if name}
        if node.attributes.pop("training_mode", 0) or more & read:
            raise ModelbuildError(f"BatchNormalization `{node.name}` is in training mode", advice=_ADVICE)
        if more:
            notes.append(
                f"BatchNormalization `{node.name}` was exported as in training; it takes its stored "
                "statistics here"
            )
        changed |= bool(more) or (len(node.outputs) > 1 and graph.opset < _FIRST_PLAIN)
        changed |= _made_spatial(graph, node)
        node.outputs = node.outputs[:1]
    return changed


def _made_spatial(graph: Graph, node: Node) -> bool:
    """Takes `spatial = 0` away where there is one number a channel all the same, as MXNet exports it."""
    if graph.opset >= _FIRST_SPATIAL or node.attributes.pop("spatial", 1):
        return False
    shapes_of = [graph.constants[name].shape for name in node.inputs[1:] if name in graph.constants]
    if len(shapes_of) < 4 or any(len(shape) > 1 for shape in shapes_of):
        raise ModelbuildError(
            f"BatchNormalization `{node.name}` has numbers for each cell (`spatial = 0`)",
            advice="export it with `spatial = 1`, one number a channel",
        )
    return True


def drop_masks(graph: Graph) -> None:
    """Takes away the mask of each Dropout that nothing reads: before set 10 it has no shape."""
    read = {name for node in graph.nodes for name in node.inputs} | set(graph.outputs)
    for node in graph.nodes:
        if node.op == "Dropout" and not node.domain and not read & set(node.outputs[1:]):
            node.outputs = node.outputs[:1]


def settle_dropouts(graph: Graph) -> None:
    """Makes each Dropout an Identity, its mask all true. Raises for those that drop. Shapes are known."""
    dropouts = [node for node in graph.nodes if node.op == "Dropout" and not node.domain]
    values = shapes.known_values(graph) if dropouts else {}
    for node in dropouts:
        training = values.get(node.inputs[2]) if len(node.inputs) > 2 else None
        decided = len(node.inputs) < 3 or not node.inputs[2] or training is not None
        if not decided or (training is not None and training.any() and not _keeps_all(node, values)):
            what = "is in training mode" if decided else "is told by an input whether it is in training mode"
            raise ModelbuildError(f"Dropout `{node.name}` {what}", advice=_ADVICE)
        for mask in (name for name in node.outputs[1:] if name):
            graph.constants[mask] = np.ones(graph.shapes[mask], graph.dtypes[mask])
        node.op, node.attributes = "Identity", {}
        node.inputs, node.outputs = node.inputs[:1], node.outputs[:1]


def _keeps_all(node: Node, values: dict[str, Array]) -> bool:
    ratio = values.get(node.inputs[1]) if node.inputs[1] else None
    return ratio is not None and not ratio.any()
