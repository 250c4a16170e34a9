"""The shape of an input: Keras leaves the batch open, and may leave more."""

from __future__ import annotations

from typing import Any

from modelbuild.errors import ModelbuildError
from modelbuild.graph.model import Shape
from modelbuild.importers.channels_last import BORDER_RANKS, channels_first, source_order
from modelbuild.importers.keras.wiring import Input

_MAX_RANK = 8
_MAX_SIZE = 2**24


def shape_of(entry: Input, given: Shape | None, keep_order: bool) -> Shape:
    """The input's shape in Keras's order. `given` is in the graph's order; an open batch is 1 without it.

    Raises naming the open dimensions and what to write, or where `given` contradicts the model."""
    own = entry.shape
    if not own or len(own) > _MAX_RANK or not all(size is None or _is_size(size) for size in own):
        raise ModelbuildError(
            f"the input `{entry.name}` has the shape {str(list(own))[:60]}",
            advice="save the model after it was built: `model.build(input_shape)`" if not own else "",
        )
    moved = len(own) in BORDER_RANKS and not keep_order
    order = channels_first(len(own)) if moved else source_order(len(own))
    if given is None:
        if None in own[1:]:
            raise _open(entry.name, [own[axis] for axis in order])
        return tuple(1 if size is None else size for size in own)
    stored = dict(zip(order, given, strict=False))
    shape = tuple(stored.get(axis, 0) for axis in range(len(own)))
    fits = all(size is None or size == wanted for size, wanted in zip(own, shape, strict=True))
    if len(given) != len(own) or not fits or not all(_is_size(size) for size in shape):
        wanted = [own[axis] for axis in order]
        raise ModelbuildError(
            f"the shape {list(given)} given for the input `{entry.name}` does not fit",
            where=f"inputs.{entry.name}",
            why=f"the model's own is {_shown(wanted)}" + (", channels first" if moved else ""),
        )
    return shape


def _open(name: str, sizes: list[Any]) -> ModelbuildError:
    listed = ", ".join(str(axis) for axis, size in enumerate(sizes) if size is None and axis)
    wanted = [1, *sizes[1:]]
    return ModelbuildError(
        f"the model's input `{name}` has no fixed size in dimension {listed}",
        why="an NPU program is made for one shape",
        advice=f"write into models.yaml: `inputs: {{{name}: {{shape: {_shown(wanted)}}}}}`",
    )


def _shown(sizes: list[Any]) -> str:
    return "[" + ", ".join("?" if size is None else str(size) for size in sizes) + "]"


def _is_size(value: object) -> bool:
    return type(value) is int and 0 < value <= _MAX_SIZE
