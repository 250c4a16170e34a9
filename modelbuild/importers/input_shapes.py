"""The shapes of a model's inputs: its own where they are fixed, the manifest's where not."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from onnx import ModelProto, ValueInfoProto

from modelbuild.errors import ModelbuildError, Problem, did_you_mean
from modelbuild.graph.model import Graph, Shape


class OpenSizes(ModelbuildError):
    """Inputs have sizes that neither the file nor the manifest fixes; nothing else is wrong with any."""


def fix(graph: Graph, model: ModelProto, given: Mapping[str, Shape]) -> None:
    """Sets the shape of every input of `graph`.

    Raises naming all open dimensions and what to write, and all given shapes that the model does not take;
    the place of these is `inputs.NAME`. `OpenSizes`, where there is nothing but open dimensions.
    """
    problems: list[Problem] = []
    wrong = False
    for value in model.graph.input:
        if value.name not in graph.inputs:
            continue
        if not value.type.HasField("tensor_type"):
            raise ModelbuildError(f"the input `{value.name}` is not a tensor")
        if value.name not in graph.dtypes:
            raise ModelbuildError(f"the input `{value.name}` has no element type")
        shape = given.get(value.name)
        found = problems_of(value.name, _dims(value), shape)
        problems += found
        wrong = wrong or _is_empty(_dims(value)) or (shape is not None and bool(found))
        if shape is not None:
            graph.shapes[value.name] = tuple(shape)
    if problems:
        told = [_of_stray(problem, given, graph.inputs) for problem in problems]
        raise (ModelbuildError if wrong else OpenSizes).of(told)


def _of_stray(problem: Problem, given: Mapping[str, Shape], inputs: Sequence[str]) -> Problem:
    """The problem, with what is given under a name that is no input's but may be meant for one."""
    if problem.where:
        return problem
    near = {name: did_you_mean(name, inputs) for name in given if name not in inputs}
    strays = [f"`{name}` is no input of the model" for name, nearest in near.items() if nearest]
    return problem._replace(advice="; ".join([*strays, problem.advice]))


def problems_of(name: str, dims: Sequence[int | str] | None, given: Shape | None) -> list[Problem]:
    """What is wrong with the input `name` of `dims`, where a name or "" is an open size, None an open rank:
    nothing fixes it, or the shape `given` is not one that the model takes."""
    return _open(name, dims) if given is None else _mismatch(name, dims, given)


def of_source(given: Mapping[str, Shape], edits: Sequence[Mapping[str, Any]]) -> dict[str, Shape]:
    """The shapes that are `given` under the names that inputs have after `edits`, or in the source, under the
    latter. Raises where an input is given two."""
    found: dict[str, Shape] = {}
    for name, shape in given.items():
        own = name
        for edit in reversed(edits):
            own = next((old for old, new in edit.get("rename", {}).items() if new == own), own)
        if found.setdefault(own, shape) != shape:
            raise ModelbuildError(
                f"the input `{own}` is given two shapes, also as `{name}`",
                where=f"inputs.{name}",
                why="an edit renames it",
                advice="keep one of them",
            )
    return found


def confirm(graph: Graph, given: Mapping[str, Shape], source: Collection[str] = ()) -> None:
    """Raises where a shape was given for what is no input of the finished graph, or is not the input's. Those
    of the inputs of the `source` were taken before edits changed names, shapes or the border."""
    for name, shape in given.items():
        if name in source:
            continue
        if name not in graph.inputs:
            raise _unknown(name, graph.inputs)
        if graph.shapes[name] != tuple(shape):
            raise ModelbuildError(
                f"the shape {list(shape)} given for the input `{name}` is not the one that it has",
                where=f"inputs.{name}",
                why=f"the nodes before it make {list(graph.shapes[name])}",
            )


def _dims(value: ValueInfoProto) -> list[int | str] | None:
    """Each dimension: its size, or the name of a symbolic one; None where not even the rank is known."""
    tensor = value.type.tensor_type
    if not tensor.HasField("shape"):
        return None
    return [dim.dim_value if dim.HasField("dim_value") else dim.dim_param for dim in tensor.shape.dim]


def _is_empty(dims: Sequence[int | str] | None) -> bool:
    return dims is not None and 0 in dims and all(isinstance(dim, int) for dim in dims)


def _open(name: str, dims: Sequence[int | str] | None) -> list[Problem]:
    if dims is None:
        what = f"the model's input `{name}` has no shape"
        return [Problem(what, advice=_advice(name, ["..."]))]
    if _is_empty(dims):
        return [Problem(f"the model's input `{name}` is empty: {list(dims)}")]
    symbolic = [axis for axis, dim in enumerate(dims) if not isinstance(dim, int) or dim <= 0]
    if not symbolic:
        return []
    listed = ", ".join(f"{axis} (`{dims[axis] or '?'}`)" for axis in symbolic)
    plural = "s" if len(symbolic) > 1 else ""
    what = f"the model's input `{name}` has no fixed size in dimension{plural} {listed}"
    wanted = ["1" if axis == 0 else f"<{dim or '?'}>" for axis, dim in enumerate(dims)]
    shown = [wanted[axis] if axis in symbolic else str(dim) for axis, dim in enumerate(dims)]
    return [Problem(what, why="an NPU program is made for one shape", advice=_advice(name, shown))]


def _advice(name: str, dims: Sequence[str]) -> str:
    return f"write into models.yaml: `inputs: {{{name}: {{shape: [{', '.join(dims)}]}}}}`"


def _mismatch(name: str, dims: Sequence[int | str] | None, shape: Shape) -> list[Problem]:
    """What is wrong with a given shape: at most one problem."""
    what, where = f"the shape {list(shape)} given for the input `{name}`", f"inputs.{name}"
    if any(size <= 0 for size in shape):
        return [Problem(f"{what} must be positive", where)]
    if dims is None:
        return []
    own = f"the model's own is [{', '.join(str(dim or '?') for dim in dims)}]"
    if len(dims) != len(shape):
        return [Problem(f"{what} has {len(shape)} dimensions; the model has {len(dims)}", where, own)]
    fixed = [axis for axis, dim in enumerate(dims) if isinstance(dim, int) and dim > 0]
    wrong = [axis for axis in fixed if dims[axis] != shape[axis]]
    if not wrong:
        return []
    fitting = [str(dims[axis] if axis in fixed else size) for axis, size in enumerate(shape)]
    listed = ", ".join(f"dimension {axis} is {dims[axis]}" for axis in wrong)
    advice = f"write `shape: [{', '.join(fitting)}]`, or export the model for the other size"
    return [Problem(f"{what} contradicts the model's, whose {listed}", where, own, advice)]


def _unknown(name: str, inputs: Sequence[str]) -> ModelbuildError:
    return ModelbuildError(
        f"the model has no input `{name}`",
        where=f"inputs.{name}",
        advice=did_you_mean(name, inputs) or f"its inputs: {', '.join(inputs)}",
    )
