"""The JSON that describes a Keras model, of any version -> layers and the calls that connect them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from modelbuild.errors import ModelbuildError
from modelbuild.importers.keras.older import renewed

MODELS = ("Functional", "Model", "Sequential")
_MAX_BYTES = 2**26
_MAX_DEPTH = 64
_TENSOR = "__keras_tensor__"
_OPERATIONS = "keras.src.ops.numpy"
_MORE = "it is called with more than tensors"


@dataclass(frozen=True)
class Ref:
    """One tensor: output number `index` of call number `call` of a layer."""

    layer: str
    call: int = 0
    index: int = 0


@dataclass(frozen=True)
class Call:
    """One use of a layer. `problem` tells why it cannot be translated, if it cannot."""

    inputs: tuple[Ref, ...]
    problem: str = ""
    operands: tuple[float | None, ...] = ()  # numbers that stand among the inputs; None for an input


@dataclass(frozen=True)
class Layer:
    """A layer, or a model as one. `config` is what Keras made it from."""

    name: str
    kind: str
    config: Mapping[str, Any]
    calls: tuple[Call, ...] = ()
    model: Model | None = None
    own: bool = True  # one of Keras's layers, not somebody's class
    operation: bool = False  # Keras 3's arithmetic on tensors outside of layers, such as `x + 3`


@dataclass(frozen=True)
class Model:
    """A Sequential or functional model. A Sequential has neither inputs nor outputs: it is a chain."""

    name: str
    layers: tuple[Layer, ...]
    inputs: tuple[Ref, ...] = ()
    outputs: tuple[Ref, ...] = ()
    sequential: bool = False
    build_shape: tuple[Any, ...] = field(default=())


def parse(text: str, version: int) -> Model:
    """The model that the JSON `text` describes; `version` is that of Keras. Raises for anything else."""
    if len(text) > _MAX_BYTES:
        raise ModelbuildError(f"the model's description has {len(text)} bytes")
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelbuildError("the model's description is not JSON", why=str(error)) from error
    if not isinstance(data, dict) or data.get("class_name") not in MODELS:
        kind = data.get("class_name") if isinstance(data, dict) else None
        raise ModelbuildError(
            f"the model is a {kind}, neither Sequential nor functional"
            if kind
            else "there is no model in it",
            why="its calculation is Python code, which is not in the file",
            advice="build it with `keras.Model(inputs, outputs)`, or export it to ONNX",
        )
    return _model(data, version, 0)


def strings(value: Any, what: str) -> str:
    """`value`, which must be a text."""
    if not isinstance(value, str) or not value:
        raise ModelbuildError(f"{what} is {json.dumps(value)[:60]}, no name")
    return value


def _model(data: Mapping[str, Any], version: int, depth: int) -> Model:
    config = data.get("config")
    if depth > _MAX_DEPTH:
        raise ModelbuildError(f"models are nested more than {_MAX_DEPTH} deep")
    if data["class_name"] == "Sequential":
        entries = config if isinstance(config, list) else _mapping(config, "a model").get("layers")
        settings: Mapping[str, Any] = config if isinstance(config, dict) else {}
        name = settings.get("name") or data.get("name") or "sequential"
        layers = tuple(_layer(entry, version, depth) for entry in _list(entries, "layers"))
        shape = settings.get("build_input_shape") or ()
        return Model(str(name), layers, sequential=True, build_shape=tuple(_list(shape, "a shape")))
    settings = _mapping(config, "a model")
    layers = tuple(_layer(entry, version, depth) for entry in _list(settings.get("layers"), "layers"))
    if len({layer.name for layer in layers}) != len(layers):
        raise ModelbuildError(f"two layers of the model `{settings.get('name')}` have one name")
    inputs, outputs = (tuple(_refs(settings.get(f"{side}_layers"))) for side in ("input", "output"))
    if not inputs or not outputs:
        raise ModelbuildError(f"the model `{settings.get('name')}` has no inputs or no outputs")
    if version >= 3:
        outputs = _without_own_calls(outputs, layers)
    return Model(str(settings.get("name") or "model"), layers, inputs, outputs)


def _without_own_calls(outputs: tuple[Ref, ...], layers: tuple[Layer, ...]) -> tuple[Ref, ...]:
    """Where outputs are named, Keras 3 counts the call by which a functional model came to be as well."""
    functional = {layer.name for layer in layers if layer.model is not None and not layer.model.sequential}
    return tuple(
        Ref(ref.layer, ref.call - 1, ref.index) if ref.layer in functional and ref.call else ref
        for ref in outputs
    )


def _layer(entry: Any, version: int, depth: int) -> Layer:
    data = _mapping(entry, "a layer")
    kind = strings(data.get("class_name"), "the class of a layer")
    calls = tuple(_call(node) for node in _list(data.get("inbound_nodes", []), "inbound nodes"))
    if kind in MODELS:
        model = _model(data, version, depth + 1)
        return Layer(str(data.get("name") or model.name), kind, {}, calls, model)
    config = _mapping(data.get("config"), f"the layer {kind}")
    name = strings(data.get("name") or config.get("name"), f"the name of a {kind}")
    module = data.get("module")
    own = data.get("registered_name") in (None, kind) and (
        module is None or str(module).startswith(("keras.layers", "keras.src.layers"))
    )
    operation = module == _OPERATIONS
    return Layer(name, *renewed(kind, config, version), calls, own=own, operation=operation)


def _strange(arguments: Any) -> str:
    """Why the arguments of a call, besides tensors, are none that a network at work has; else nothing."""
    arguments = _mapping(arguments, "the arguments of a call")
    given = {key: value for key, value in arguments.items() if value is not None and value is not False}
    if given.pop("training", None):
        return "it is called in training mode"
    given.pop("mask", None)
    return _MORE if given else ""


def _call(node: Any) -> Call:
    """One inbound node: of Keras 3 `{args, kwargs}`, before it a list of [layer, call, index, arguments]."""
    if isinstance(node, dict):
        arguments = list(_leaves(node.get("args", [])))
        inputs = [item for item in arguments if isinstance(item, Ref)]
        named = [item for item in _leaves(node.get("kwargs") or {}) if isinstance(item, Ref)]
        strange = _MORE if named or len(inputs) != len(arguments) else _strange(node.get("kwargs") or {})
        numbers = tuple(None if isinstance(item, Ref) else _number(item) for item in arguments)
        return Call(tuple(inputs), strange, numbers)
    parts = _list(node, "an inbound node")
    if parts and isinstance(parts[0], str):
        parts = [parts]
    problem = ""
    for part in parts:
        extra = part[3] if isinstance(part, list) and len(part) > 3 else None
        problem = problem or _strange(extra or {})
    return Call(tuple(_ref(part) for part in parts), problem)


def _number(value: Any) -> float:
    """`value` as a float, not a number where it is none."""
    return float(value) if type(value) in (int, float) and abs(value) < 1e30 else math.nan


def _leaves(value: Any, depth: int = 0) -> Iterator[Any]:
    if depth > _MAX_DEPTH:
        raise ModelbuildError("the arguments of a layer are nested too deep")
    if isinstance(value, dict):
        if value.get("class_name") == _TENSOR:
            yield _ref(_mapping(value.get("config"), "a tensor").get("keras_history"))
            return
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _leaves(item, depth + 1)
    elif value is not None:
        yield value


def _refs(value: Any, depth: int = 0) -> Iterator[Ref]:
    if depth > _MAX_DEPTH:
        raise ModelbuildError("the borders of a model are nested too deep")
    if isinstance(value, dict):
        value = [value[key] for key in sorted(value)]
    if isinstance(value, list) and value and isinstance(value[0], str):
        yield _ref(value)
    else:
        for item in _list(value, "the inputs or outputs of a model"):
            yield from _refs(item, depth + 1)


def _ref(value: Any) -> Ref:
    parts = _list(value, "a tensor")
    numbers = parts[1:3]
    if len(numbers) != 2 or not all(type(number) is int and 0 <= number < 2**31 for number in numbers):
        raise ModelbuildError(f"a tensor is described by {json.dumps(value)[:60]}")
    return Ref(strings(parts[0], "a layer"), *numbers)


def _mapping(value: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ModelbuildError(f"the description of {what} is no mapping")
    return value


def _list(value: Any, what: str) -> list[Any]:
    if not isinstance(value, list | tuple):
        raise ModelbuildError(f"the model's description has no list of {what}")
    return list(value)
