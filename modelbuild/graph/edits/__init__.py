"""The manifest's `edit:` list: one module a kind, `apply(graph, settings)` changes the graph in place."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from types import ModuleType
from typing import Any, NamedTuple

from modelbuild.errors import ModelbuildError, did_you_mean
from modelbuild.graph import shapes
from modelbuild.graph.edit_places import place
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
from modelbuild.graph.edits.cut import CONSTANT, INPUT
from modelbuild.graph.edits.names import resolve
from modelbuild.graph.model import Graph
from modelbuild.graph.rewrite import copied

__all__ = ["CONSTANT", "EDITS", "INPUT", "TAIL", "Edit", "apply", "leading_cuts", "resolve"]

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


class LeadingCut(NamedTuple):
    """A `cut` before all other edits. Errors within `numbered` name it."""

    inputs: list[str]
    outputs: list[str]
    numbered: AbstractContextManager[None]


def leading_cuts(edits: Sequence[Edit]) -> Iterator[LeadingCut]:
    """The cuts that importers make before they look at what is to go. Raises for those that are no cuts."""
    for number, edit in enumerate(itertools.takewhile(lambda edit: list(edit) == ["cut"], edits), 1):
        with _numbered(number, "cut"):
            inputs, outputs = cut.borders(edit["cut"])
        yield LeadingCut(inputs, outputs, _numbered(number, "cut"))


def apply(graph: Graph, edits: Sequence[Edit], channels_first: Collection[str] = ()) -> Graph:
    """A copy of `graph` after all `edits`, in order. `tail` changes nothing here.

    Each edit is a mapping of one kind to its settings (docs/models-yaml.md). `channels_first` are inputs and
    outputs that an importer knows to be NCHW. Raises naming the edit, counted from 1, which is also the
    error's place (`graph.edit_places`): for names that are not there, with the nearest one, and for what does
    not fit the graph. Shapes are those of the result.
    """
    result = copied(graph)
    layouts = dict.fromkeys(channels_first, "NCHW")
    for number, edit in enumerate(edits, 1):
        for kind, settings in edit.items():
            with _numbered(number, kind):
                if kind == "layout":
                    layout.check_new(layouts, settings)
                _apply(result, kind, settings)
                layouts = layout.followed(layouts, kind, settings, result)
    return result


@contextmanager
def _numbered(number: int, kind: str) -> Iterator[None]:
    """Errors name the edit, and have it as their place."""
    try:
        yield
    except ModelbuildError as error:
        problems = (
            problem._replace(
                what=f"edit {number} (`{kind}`): {problem.where}{': ' * bool(problem.where)}{problem.what}",
                where=place(number),
            )
            for problem in error.problems
        )
        raise ModelbuildError.of(problems, error.exit_code) from error


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
