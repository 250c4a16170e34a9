"""`layout: {x: NHWC}`: another order of the border's dimensions, by a Transpose."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from modelbuild.errors import ModelbuildError
from modelbuild.graph.edits import behind
from modelbuild.graph.edits.channels_axis import layout_of
from modelbuild.graph.edits.names import border
from modelbuild.graph.model import Graph

Layouts = Mapping[str, str]  # input or output -> NCHW or NHWC, so far as it is known
# layout wanted -> permutation from the other one
_PERMUTATIONS: Mapping[str, tuple[int, ...]] = {"NHWC": (0, 2, 3, 1), "NCHW": (0, 3, 1, 2)}
_OTHER = {"NHWC": "NCHW", "NCHW": "NHWC"}


def apply(graph: Graph, settings: object) -> None:
    """Each input or output that is named has the layout that is written; it had the other one. Raises where
    the nodes at the border say that it has this one already."""
    for name, wanted in list(_read(graph, settings)):
        if layout_of(graph, name) == wanted:
            raise _already(name, wanted, "the nodes at the border take its channels so")
    change(graph, settings)


def change(graph: Graph, settings: object) -> None:
    """As `apply`, for callers that were told which layout there is."""
    for name, wanted in list(_read(graph, settings)):
        if name in graph.inputs:
            _of_input(graph, name, wanted)
        else:
            behind.of_output(graph, name, "Transpose", {}, {"perm": list(_PERMUTATIONS[wanted])})


def check_new(known: Layouts, settings: object) -> None:
    """Raises for an input or output that is `known` to have the layout that is wanted."""
    for name, wanted in settings.items() if isinstance(settings, Mapping) else ():
        if known.get(name) == wanted:
            raise _already(name, wanted, "an edit before this one, or the import, has made it so")


def followed(known: Layouts, kind: str, settings: Any, graph: Graph) -> dict[str, str]:
    """What is known of the layouts of `graph`, just edited, of what was known before the edit."""
    if kind == "layout":
        return {**known, **settings}
    if kind == "rename":
        return {settings.get(name, name): layout for name, layout in known.items()}
    if kind == "insert" and settings["op"] == "Transpose":
        turned = {settings["at"], *_behind(graph, settings["at"])} - set(graph.inputs)
        return {name: layout for name, layout in known.items() if name not in turned}
    return dict(known)


def _behind(graph: Graph, label: str) -> list[str]:
    """What Transposes make of the first output of the node that is called `label`."""
    made = {node.outputs[0] for node in graph.nodes if node.name == label}
    return [node.outputs[0] for node in graph.nodes if node.op == "Transpose" and node.inputs[0] in made]


def _read(graph: Graph, settings: object) -> Iterator[tuple[str, str]]:
    if not isinstance(settings, Mapping) or not settings:
        raise ModelbuildError("`layout` needs inputs or outputs", advice="write `layout: {image: NHWC}`")
    for name, wanted in settings.items():
        if wanted not in _PERMUTATIONS:
            raise ModelbuildError(
                f"`layout: {{{name}: {wanted}}}` is not a layout", why=f"layouts are {', '.join(_OTHER)}"
            )
        shape = graph.shapes[border(graph, str(name))]
        if len(shape) != 4:
            raise ModelbuildError(
                f"`{name}` has {len(shape)} dimensions: {list(shape)}", why="a layout is of four dimensions"
            )
        yield str(name), str(wanted)


def _already(name: str, wanted: str, why: str) -> ModelbuildError:
    return ModelbuildError(
        f"`{name}` is {wanted} already",
        why=why,
        advice=f"remove it, or write `{name}: {_OTHER[wanted]}` if that is what you want to have",
    )


def _of_input(graph: Graph, name: str, wanted: str) -> None:
    """The input has its new shape, and a Transpose back behind it."""
    shape = graph.shapes[name]
    behind.of_input(graph, name, "Transpose", {}, {"perm": list(_PERMUTATIONS[_OTHER[wanted]])})
    graph.shapes[name] = tuple(shape[axis] for axis in _PERMUTATIONS[wanted])
