"""The inbound nodes of a layer, in both forms -> the tensors and the further arguments of each call."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from modelbuild.errors import ModelbuildError

_MAX_DEPTH = 64
_TENSOR = "__keras_tensor__"
_CONSTANT = "_CONSTANT_VALUE"
_VALUES = ("__tensor__", "__numpy__")
_SLICE = {"start", "stop", "step"}
_MORE = "it is called with more than tensors"


@dataclass(frozen=True)
class Ref:
    """One tensor: output number `index` of call number `call` of a layer."""

    layer: str
    call: int = 0
    index: int = 0


@dataclass(frozen=True)
class Place:
    """A tensor among the arguments of a call: number `index` of its inputs."""

    index: int


@dataclass(frozen=True)
class Call:
    """One use of a layer. `problem` tells what a layer cannot be called with, if it is.

    `positional` and `named` are all arguments: numbers, words, slices, `...`, lists, and for tensors Places.
    """

    inputs: tuple[Ref, ...]
    problem: str = ""
    positional: tuple[Any, ...] = ()
    named: Mapping[str, Any] = field(default_factory=dict)


def call(node: Any) -> Call:
    """One inbound node: of Keras 3 `{args, kwargs}`, before it a list of [layer, call, index, arguments]."""
    arguments = _Arguments()
    if isinstance(node, dict):
        positional = tuple(arguments.value(item) for item in items(node.get("args", []), "arguments"))
        named = mapping(node.get("kwargs") or {}, "the arguments of a call")
        strange = _MORE if not all(isinstance(item, Place) for item in _leaves(positional)) else ""
    else:
        parts = items(node, "an inbound node")
        whole = bool(parts) and isinstance(parts[0], str)
        found = [_part(part, arguments) for part in ([parts] if whole else parts)]
        positional = (found[0],) if whole else (found,)
        extras = [part[3] for part in ([parts] if whole else parts) if len(part) > 3 and part[3]]
        named = mapping(extras[0] if extras else {}, "the arguments of a call")
        strange = next((problem for problem in map(_strange, extras) if problem), "")
    before = len(arguments.inputs)
    given = {key: arguments.value(item) for key, item in named.items() if key != "mask"}
    strange = strange or (_MORE if len(arguments.inputs) > before else _strange(named))
    return Call(tuple(arguments.inputs), strange, positional, given)


def refs(value: Any, depth: int = 0) -> Iterator[Ref]:
    """The tensors that a model names as its inputs or outputs, nested in any way."""
    if depth > _MAX_DEPTH:
        raise ModelbuildError("the borders of a model are nested too deep")
    if isinstance(value, dict):
        value = [value[key] for key in sorted(value)]
    if isinstance(value, list) and value and isinstance(value[0], str):
        yield _ref(value)
    else:
        for item in items(value, "the inputs or outputs of a model"):
            yield from refs(item, depth + 1)


def plain(value: Any) -> Any:
    """A setting that Keras serialised as a tensor, an array or a tuple, as numbers and lists."""
    return _Arguments().value(value)


def mapping(value: Any, what: str) -> Mapping[str, Any]:
    """`value`, which must be a mapping."""
    if not isinstance(value, dict):
        raise ModelbuildError(f"the description of {what} is no mapping")
    return value


def items(value: Any, what: str) -> list[Any]:
    """`value`, which must be a list."""
    if not isinstance(value, list | tuple):
        raise ModelbuildError(f"the model's description has no list of {what}")
    return list(value)


def strings(value: Any, what: str) -> str:
    """`value`, which must be a text."""
    if not isinstance(value, str) or not value:
        raise ModelbuildError(f"{what} is {json.dumps(value)[:60]}, no name")
    return value


@dataclass
class _Arguments:
    """Collects the tensors among arguments, each of which becomes a Place."""

    inputs: list[Ref] = field(default_factory=list)

    def place(self, ref: Ref) -> Place:
        """The place of one more tensor."""
        self.inputs.append(ref)
        return Place(len(self.inputs) - 1)

    def value(self, value: Any, depth: int = 0) -> Any:
        """One argument, as it was before it was written as JSON."""
        if depth > _MAX_DEPTH:
            raise ModelbuildError("the arguments of a layer are nested too deep")
        if isinstance(value, list):
            if _is_ref(value):
                return self.place(_ref(value))
            return [self.value(item, depth + 1) for item in value]
        if not isinstance(value, dict):
            return value
        kind, settings = value.get("class_name"), value.get("config")
        if kind == _TENSOR:
            return self.place(_ref(mapping(settings, "a tensor").get("keras_history")))
        if kind == "__ellipsis__":
            return ...
        if kind == "__tuple__":
            return self.value(items(value.get("items"), "items"), depth + 1)
        if kind in _VALUES:
            return self.value(mapping(settings, "a tensor").get("value"), depth + 1)
        if kind == "__slice__" or set(value) == _SLICE:
            bounds = value if kind is None else mapping(settings, "a slice")
            return slice(*(self.value(bounds.get(name), depth + 1) for name in ("start", "stop", "step")))
        return {key: self.value(item, depth + 1) for key, item in value.items()}


def _part(part: Any, arguments: _Arguments) -> Any:
    listed = items(part, "a tensor")
    if listed[:1] == [_CONSTANT] and len(listed) > 2:
        return arguments.value(listed[2])
    return arguments.place(_ref(part))


def _is_ref(value: list[Any]) -> bool:
    return len(value) == 3 and isinstance(value[0], str) and all(type(n) is int for n in value[1:])


def _ref(value: Any) -> Ref:
    parts = items(value, "a tensor")
    numbers = parts[1:3]
    if len(numbers) != 2 or not all(type(number) is int and 0 <= number < 2**31 for number in numbers):
        raise ModelbuildError(f"a tensor is described by {json.dumps(value)[:60]}")
    return Ref(strings(parts[0], "a layer"), *numbers)


def _strange(arguments: Any) -> str:
    """Why the arguments of a call, besides tensors, are none that a network at work has; else nothing."""
    arguments = mapping(arguments, "the arguments of a call")
    given = {key: value for key, value in arguments.items() if value is not None and value is not False}
    if given.pop("training", None):
        return "it is called in training mode"
    given.pop("mask", None)
    return _MORE if given else ""


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, list | tuple):
        for item in value:
            yield from _leaves(item)
    elif isinstance(value, dict):
        yield from _leaves(list(value.values()))
    elif value is not None:
        yield value
