"""The JSON that describes a Keras model, of any version -> layers and the calls that connect them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from modelbuild.errors import ModelbuildError
from modelbuild.importers.keras.nodes import Call, Ref, call, items, mapping, refs, strings
from modelbuild.importers.keras.older import renewed

MODELS = ("Functional", "Model", "Sequential")
_MAX_BYTES = 2**26
_MAX_DEPTH = 64
_MAX_NESTING = 400  # of lists and mappings: a model within another takes four
_LAMBDAS = ("TFOpLambda", "SlicingOpLambda")  # Keras 2
_OPERATIONS = ("keras.src.ops", "keras.ops")  # Keras 3


@dataclass(frozen=True)
class Layer:
    """A layer, or a model as one. `config` is what Keras made it from."""

    name: str
    kind: str
    config: Mapping[str, Any]
    calls: tuple[Call, ...] = ()
    model: Model | None = None
    own: bool = True  # one of Keras's layers, not somebody's class
    module: str = ""  # where the class is defined, where the file says so
    registered: str = ""  # the name under which somebody registered the class
    function: str = ""  # what is called on tensors outside of layers, such as `math.add` or `keras.Add`


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
    _check_nesting(data)
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


def _check_nesting(data: Any) -> None:
    """Raises where lists and mappings are nested so deep that walking them could overflow the stack."""
    level = [data]
    for _ in range(_MAX_NESTING):
        following: list[Any] = []
        for item in level:
            following += item.values() if isinstance(item, dict) else item if isinstance(item, list) else ()
        if not following:
            return
        level = following
    raise ModelbuildError(f"the model's description is nested more than {_MAX_NESTING} deep")


def _model(data: Mapping[str, Any], version: int, depth: int) -> Model:
    config = data.get("config")
    if depth > _MAX_DEPTH:
        raise ModelbuildError(f"models are nested more than {_MAX_DEPTH} deep")
    if data["class_name"] == "Sequential":
        entries = config if isinstance(config, list) else mapping(config, "a model").get("layers")
        settings: Mapping[str, Any] = config if isinstance(config, dict) else {}
        name = settings.get("name") or data.get("name") or "sequential"
        layers = tuple(_layer(entry, version, depth) for entry in items(entries, "layers"))
        shape = settings.get("build_input_shape") or ()
        return Model(str(name), layers, sequential=True, build_shape=tuple(items(shape, "a shape")))
    settings = mapping(config, "a model")
    layers = tuple(_layer(entry, version, depth) for entry in items(settings.get("layers"), "layers"))
    if len({layer.name for layer in layers}) != len(layers):
        raise ModelbuildError(f"two layers of the model `{settings.get('name')}` have one name")
    inputs, outputs = (tuple(refs(settings.get(f"{side}_layers"))) for side in ("input", "output"))
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
    data = mapping(entry, "a layer")
    kind = strings(data.get("class_name"), "the class of a layer")
    calls = tuple(call(node) for node in items(data.get("inbound_nodes", []), "inbound nodes"))
    if kind in MODELS:
        model = _model(data, version, depth + 1)
        return Layer(str(data.get("name") or model.name), kind, {}, calls, model)
    config = mapping(data.get("config"), f"the layer {kind}")
    name = strings(data.get("name") or config.get("name"), f"the name of a {kind}")
    module = data.get("module")
    own = data.get("registered_name") in (None, kind) and (
        module is None or str(module).startswith(("keras.layers", "keras.src.layers"))
    )
    kind, settings = renewed(kind, config, version)
    where = "" if module is None else str(module)
    registered = data.get("registered_name") or ""
    function = _function(kind, where, config)
    if not where and kind != "InputLayer" and "trainable" not in config:
        # The .h5 files of Keras 3 name no modules; of layers they have `trainable`, of operations not.
        called = any(isinstance(node, dict) and "args" in node for node in data.get("inbound_nodes", []))
        function = function or (f"keras.{kind}" if called else "")
    return Layer(name, kind, settings, calls, None, own, where, str(registered), function)


def _function(kind: str, module: str, config: Mapping[str, Any]) -> str:
    """The function on tensors that a layer of Keras 2 or an operation of Keras 3 stands for."""
    if kind in _LAMBDAS:
        return str(config.get("function")).removeprefix("tf.")
    return f"keras.{kind}" if module.startswith(_OPERATIONS) else ""
