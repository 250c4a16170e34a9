"""The manifest's `edit:` list: one module a kind, `apply(graph, settings)` changes the graph in place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

from modelbuild.errors import ModelbuildError, did_you_mean
from modelbuild.graph import shapes
from modelbuild.graph.edits import (
    cut,
    insert,
    layout,
    normalize,
    remove,
    rename,
    shape,
    swap_channels,
)
from modelbuild.graph.edits.cut import borders as cut_borders
from modelbuild.graph.edits.names import resolve
from modelbuild.graph.model import Graph
from modelbuild.graph.rewrite import copied

__all__ = ["EDITS", "TAIL", "Edit", "apply", "cut_borders", "resolve"]

Edit = Mapping[str, Any]  # one key: the kind of edit

EDITS: Mapping[str, ModuleType] = {
    "cut": cut,  # tensors become the model's inputs and outputs; what does not lie between goes
    "rename": rename,  # tensors and nodes
    "remove": remove,  # nodes, by name or operator; what they read passes through
    "shape": shape,  # of inputs, and of outputs (Reshape)
    "normalize": normalize,  # x * scale + bias behind an input, a channel
    "swap_channels": swap_channels,  # of an input: RGB and BGR
    "layout": layout,  # NCHW and NHWC of inputs and outputs
    "insert": insert,  # a Conv, BatchNormalization or element-wise operator behind a tensor
}
TAIL = "tail"  # depends on the chip: `graph.edits.tail.split` does it, once a model is lowered


def apply(graph: Graph, edits: Sequence[Edit]) -> Graph:
    """A copy of `graph` after all `edits`, in order. `tail` changes nothing here.

    Each edit is a mapping of one kind to its settings (docs/models-yaml.md). Raises naming the edit, counted
    from 1: for names that are not there, with the nearest one, and for what does not fit the graph. Shapes
    are those of the result.
    """
    result = copied(graph)
    for index, edit in enumerate(edits, 1):
        for kind, settings in edit.items():
            try:
                _apply(result, kind, settings)
            except ModelbuildError as error:
                problems = (
                    problem._replace(what=f"edit {index} (`{kind}`): {problem.what}")
                    for problem in error.problems
                )
                raise ModelbuildError.of(problems, error.exit_code) from error
    return result


def _apply(graph: Graph, kind: str, settings: Any) -> None:
    if kind == TAIL:
        return
    if kind not in EDITS:
        raise ModelbuildError(
            f"the edit `{kind}` is not supported",
            advice=did_you_mean(kind, [*EDITS, TAIL]) or f"the edits: {', '.join((*EDITS, TAIL))}",
        )
    EDITS[kind].apply(graph, settings)
    shapes.infer(graph)
