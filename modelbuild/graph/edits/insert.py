"""`insert: {at: x, op: Conv, ...}`: an operator behind a tensor, with weights from a file or written out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from modelbuild.errors import ModelbuildError, did_you_mean
from modelbuild.graph.edits import behind
from modelbuild.graph.edits.names import mapping, resolve
from modelbuild.graph.fresh_names import tensors
from modelbuild.graph.model import Array, Attribute, Graph
from modelbuild.graph.quantized_border import is_port

_EXAMPLE = "edit: [{insert: {at: stem_out, op: Relu}}]"
_KEYS = ("at", "op", "name", "weights", "constants", "attributes")
_LARGEST = float(np.finfo(np.float32).max)
_REALS = ("alpha", "beta", "epsilon")


@dataclass(frozen=True)
class _Operator:
    """What an operator is given: constants in order (`-` before one that may be left out), attributes."""

    constants: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()


OPERATORS: Mapping[str, _Operator] = {
    "Conv": _Operator(("weight", "-bias"), ("pads", "strides", "dilations", "group")),
    "BatchNormalization": _Operator(("scale", "bias", "-mean", "-var"), ("epsilon",)),
    "Add": _Operator(("value",)),
    "Mul": _Operator(("value",)),
    "Clip": _Operator(("min", "max")),
    "LeakyRelu": _Operator((), ("alpha",)),
    "HardSigmoid": _Operator((), ("alpha", "beta")),
    "Softmax": _Operator((), ("axis",)),
    "Transpose": _Operator((), ("perm",)),
    **dict.fromkeys(("Relu", "Sigmoid", "Tanh", "HardSwish", "Softplus"), _Operator()),
}


def apply(graph: Graph, settings: object) -> None:
    """Whoever read the tensor `at` (or the first output of the node so called) reads the new node's output;
    an output of the model keeps its name. `weights` is an .npz of the constants by name, or an .npy of the
    first; `constants` are written out. Raises for what does not fit."""
    given = mapping(settings, "insert", _KEYS, _EXAMPLE)
    for key in ("at", "op"):
        if not isinstance(given.get(key), str):
            raise ModelbuildError(f"`insert` needs `{key}`", advice=f"for example `{_EXAMPLE}`")
    op = str(given["op"])
    if op not in OPERATORS:
        raise ModelbuildError(
            f"`insert` has no operator `{op}`",
            advice=did_you_mean(op, OPERATORS) or f"it has {', '.join(OPERATORS)}",
        )
    variable = tensors(graph) - set(graph.constants)
    first = {node.name: node.outputs[:1] for node in graph.nodes}
    at = behind.real_input(graph, resolve([given["at"]], variable, first)[0])
    if at in graph.inputs and at in graph.outputs:
        raise ModelbuildError(
            f"`{at}` is an input and an output of the model",
            why="what is inserted there would need the name of both",
            advice="leave the output out before: `cut: {outputs: [...]}`",
        )
    codes = at in graph.outputs and is_port(graph, at)
    if graph.dtypes[at] != np.dtype(np.float32) and not codes:
        raise ModelbuildError(f"the tensor `{at}` holds {graph.dtypes[at]}; `insert` takes real numbers")
    arrays = _arrays(op, given)
    if op == "Clip":
        _check_ends(arrays)
    attributes = _attributes(op, given.get("attributes") or {})
    if op == "BatchNormalization" and not {"mean", "var"} <= set(arrays):
        arrays, attributes = _scale_and_bias(arrays, attributes)
    behind.of_tensor(graph, at, op, arrays, attributes, _label(graph, op, given.get("name")))


def _check_ends(arrays: Mapping[str, Array]) -> None:
    for name, value in arrays.items():
        if value.shape != ():
            raise ModelbuildError(f"Clip's `{name}` is one number, not {list(value.shape)} of them")
    low, high = (float(value) for value in (arrays["min"].item(), arrays["max"].item()))
    if low > high:
        raise ModelbuildError(f"Clip's `min` {low:g} is above its `max` {high:g}")


def _label(graph: Graph, op: str, name: str | None) -> str:
    """The new node's name: the one that is asked for, which must be free, or one after its operator."""
    if name and (name in tensors(graph) or any(node.name == name for node in graph.nodes)):
        raise ModelbuildError(
            f"there is a `{name}` already", advice="take another `name`, or leave it out: one is found then"
        )
    return name or op.lower()


def _arrays(op: str, given: Mapping[str, Any]) -> dict[str, Array]:
    """Constant -> value, in the operator's order."""
    expected = [name.removeprefix("-") for name in OPERATORS[op].constants]
    needed = [name for name in OPERATORS[op].constants if not name.startswith("-")]
    found = _read(given.get("weights"), expected, op)
    for name, value in (given.get("constants") or {}).items():
        if name in found:
            raise ModelbuildError(
                f"`{name}` stands in `weights` and in `constants`", advice="keep one of them"
            )
        found[name] = _written(name, value)
    for name in found:
        if name not in expected:
            raise ModelbuildError(
                f"{op} has no constant `{name}`",
                advice=did_you_mean(name, expected)
                or (f"its constants are {', '.join(expected)}" if expected else "it takes none"),
            )
    for name in needed:
        if name not in found:
            raise ModelbuildError(
                f"{op} needs `{name}`",
                advice=f"write it under `constants:`, or give a file with it: `weights: {name}.npz`",
            )
    return {name: found[name] for name in expected if name in found}


def _read(path: object, expected: Sequence[str], op: str) -> dict[str, Array]:
    if path is None:
        return {}
    if not expected:
        raise ModelbuildError(f"{op} takes no weights")
    from modelbuild.samples.arrays import read_all

    return {name or expected[0]: value for name, value in read_all(Path(str(path))).items()}


def _written(name: str, value: object) -> Array:
    try:
        with np.errstate(over="ignore"):
            array = np.asarray(value, np.float64).astype(np.float32)
    except (ValueError, TypeError) as error:
        raise ModelbuildError(f"`{name}` is not a number or an even list of numbers") from error
    if not np.isfinite(array).all():
        raise ModelbuildError(f"`{name}` holds a number that float32 cannot")
    return array


def _scale_and_bias(
    arrays: dict[str, Array], attributes: dict[str, Attribute]
) -> tuple[dict[str, Array], dict[str, Attribute]]:
    """A BatchNormalization of scale and bias alone is just that: mean 0, variance 1 and no epsilon."""
    if "mean" in arrays or "var" in arrays or attributes:
        raise ModelbuildError(
            "BatchNormalization needs both of `mean` and `var`, or neither and no `epsilon`",
            advice="without them it computes x * scale + bias",
        )
    shape = arrays["scale"].shape
    means = {"mean": np.zeros(shape, np.float32), "var": np.ones(shape, np.float32)}
    return {**arrays, **means}, {"epsilon": 0.0}


def _attributes(op: str, given: Mapping[str, Any]) -> dict[str, Attribute]:
    known = OPERATORS[op].attributes
    for name in given:
        if name not in known:
            raise ModelbuildError(
                f"{op} has no attribute `{name}` here",
                advice=did_you_mean(name, known)
                or (f"its attributes are {', '.join(known)}" if known else "it takes none"),
            )
    return {name: _attribute(op, name, value) for name, value in given.items()}


def _attribute(op: str, name: str, value: Any) -> Attribute:
    if name in _REALS:
        if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _LARGEST:
            return float(value)
        raise ModelbuildError(f"{op}'s `{name}` is a number that float32 can hold, not `{value}`")
    items = value if isinstance(value, list | tuple) else [value]
    if all(isinstance(item, str) for item in items) or all(type(item) is int for item in items):
        return list(value) if isinstance(value, tuple) else value
    raise ModelbuildError(f"{op}'s `{name}` is a whole number, a list of those or a word, not `{value}`")
