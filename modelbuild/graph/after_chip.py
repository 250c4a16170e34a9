"""The part of a model that runs after the chip: what `tail: auto` cut off."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from modelbuild.errors import ModelbuildError
from modelbuild.graph.model import Array, Graph, Shape

if TYPE_CHECKING:
    from modelbuild.graph.session import FloatSession

OUTPUTS = "modelbuild.outputs"  # metadata: the names of the whole model's outputs, in order


def mark(post: Graph, outputs: Sequence[str]) -> None:
    """Notes in `post` what the outputs of the whole model are."""
    post.metadata[OUTPUTS] = json.dumps(list(outputs))


def joined(chip: Graph, post: Graph) -> Graph:
    """Both parts as the one model that they were: tensors have the same names in both."""
    further = [name for name in post.inputs if name not in {*chip.inputs, *chip.outputs}]
    whole = Graph(chip.name, [*chip.nodes, *post.nodes], [*chip.inputs, *further], _outputs(post), {})
    whole.constants = {**chip.constants, **post.constants}
    whole.shapes, whole.dtypes = {**post.shapes, **chip.shapes}, {**post.dtypes, **chip.dtypes}
    whole.opset, whole.metadata = chip.opset, dict(chip.metadata)
    return whole


def _outputs(post: Graph) -> list[str]:
    try:
        found = json.loads(post.metadata[OUTPUTS])
    except (ValueError, RecursionError):
        found = None
    listed = isinstance(found, list) and all(isinstance(name, str) for name in found)
    if not listed or not set(post.outputs) <= set(found):
        raise ModelbuildError(f"the model's metadata `{OUTPUTS}` is damaged")
    return list(found)


class AfterChip:
    """Makes the whole model's outputs of what the chip gives.

    `post` is what `graph.edits.tail.split` made. Where it has no node the chip gives all outputs."""

    def __init__(self, post: Graph) -> None:
        self._post = post
        self.outputs: tuple[str, ...] = tuple(_outputs(post))
        self.own: tuple[str, ...] = tuple(post.outputs)  # those that this part makes

    @cached_property
    def _session(self) -> FloatSession | None:
        from modelbuild.graph.session import FloatSession  # who only asks for names loads no onnxruntime

        return FloatSession(self._post) if self._post.nodes else None

    @property
    def inputs(self) -> tuple[str, ...]:
        """What this part reads: outputs of the chip, then inputs of the model."""
        return tuple(self._post.inputs)

    def input_shape(self, name: str) -> Shape:
        """The shape of a tensor that this part reads."""
        return self._post.shapes[name]

    def dtype(self, name: str) -> str:
        """The type of an output that this part makes."""
        return str(self._post.dtypes[name])

    def shape(self, name: str) -> Shape:
        """The shape of an output that this part makes."""
        return self._post.shapes[name]

    def further_inputs(self, chip: Sequence[str]) -> dict[str, tuple[Shape, str]]:
        """Shape and type of the model's inputs that this part reads and that are not among the chip's
        inputs or outputs `chip`."""
        return {
            name: (self._post.shapes[name], str(self._post.dtypes[name]))
            for name in self._post.inputs
            if name not in chip
        }

    def with_inputs(self, chip: Graph) -> Graph:
        """A graph without nodes that has the inputs of both parts: what samples are read for."""
        further = self.further_inputs([*chip.inputs, *chip.outputs])
        both = Graph(chip.name, [], [*chip.inputs, *further], [], {})
        both.shapes = {**chip.shapes, **{name: self._post.shapes[name] for name in further}}
        both.dtypes = {**chip.dtypes, **{name: self._post.dtypes[name] for name in further}}
        return both

    def run(self, of_chip: Mapping[str, Array], inputs: Mapping[str, Array]) -> dict[str, Array]:
        """The whole model's outputs, of real numbers that the chip gave and the model's own inputs. Codes at
        the border of the source may be numbers of any type."""
        known = {**inputs, **of_chip}
        if self._session is not None:
            known |= self._session.run(
                {name: known[name].astype(dtype) for name, (_, dtype) in self._session.inputs.items()}
            )
        return {name: known[name] for name in self.outputs}
