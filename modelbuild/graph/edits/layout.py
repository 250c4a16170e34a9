"""`layout: {x: NHWC}`: another order of the border's dimensions, by a Transpose."""

from __future__ import annotations

from collections.abc import Mapping

from modelbuild.errors import ModelbuildError
from modelbuild.graph.edits import behind
from modelbuild.graph.edits.names import border
from modelbuild.graph.model import Graph

# layout wanted -> permutation from the other one
_PERMUTATIONS: Mapping[str, tuple[int, ...]] = {"NHWC": (0, 2, 3, 1), "NCHW": (0, 3, 1, 2)}
_OTHER = {"NHWC": "NCHW", "NCHW": "NHWC"}


def apply(graph: Graph, settings: object) -> None:
    """Each input or output that is named has the layout that is written; it had the other one."""
    if not isinstance(settings, Mapping) or not settings:
        raise ModelbuildError("`layout` needs inputs or outputs", advice="write `layout: {image: NHWC}`")
    for name, wanted in settings.items():
        if wanted not in _PERMUTATIONS:
            raise ModelbuildError(
                f"`layout: {{{name}: {wanted}}}` is not a layout", why=f"layouts are {', '.join(_OTHER)}"
            )
        border(graph, str(name))
        shape = graph.shapes[name]
        if len(shape) != 4:
            raise ModelbuildError(
                f"`{name}` has {len(shape)} dimensions: {list(shape)}", why="a layout is of four dimensions"
            )
        if name in graph.inputs:
            _of_input(graph, str(name), str(wanted))
        else:
            perm = list(_PERMUTATIONS[str(wanted)])
            behind.of_output(graph, str(name), "Transpose", {}, {"perm": perm})


def _of_input(graph: Graph, name: str, wanted: str) -> None:
    """The input has its new shape, and a Transpose back behind it."""
    shape = graph.shapes[name]
    behind.of_input(graph, name, "Transpose", {}, {"perm": list(_PERMUTATIONS[_OTHER[wanted]])})
    graph.shapes[name] = tuple(shape[axis] for axis in _PERMUTATIONS[wanted])
