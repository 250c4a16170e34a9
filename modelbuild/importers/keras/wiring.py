"""Nested and shared layers -> a flat list of steps, each making one tensor; cutting before anything else."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Any

from modelbuild.errors import ModelbuildError
from modelbuild.graph.edits import INPUT, Edit, leading_cuts, resolve
from modelbuild.graph.fresh_names import fresh
from modelbuild.importers.keras.config import Layer, Model
from modelbuild.importers.keras.nodes import Call, Ref

_MAX_STEPS = 20_000
_MAX_OUTPUTS = 4096
_INPUT = "InputLayer"


@dataclass(frozen=True)
class Input:
    """An input of the model: Keras's shape, where None is open, and element type."""

    name: str
    shape: tuple[Any, ...]
    dtype: str


@dataclass(frozen=True)
class Step:
    """One call of one layer. `path` names the layer within the models that hold it."""

    name: str
    layer: Layer
    path: tuple[str, ...]
    inputs: tuple[str, ...]
    call: Call
    outputs: tuple[str, ...]  # the first has the step's name


@dataclass
class Wired:
    """A model laid out flat. `outputs` are the tensors, `names` what the model calls them."""

    inputs: list[Input] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)


def wired(model: Model) -> Wired:
    """`model` with every layer's call in the order in which they can run."""
    result = Wired()
    flattener = _Flattener(result)
    given: list[str] = []
    if model.sequential:
        first = _first_shape(model)
        name = model.layers[0].name if model.layers[0].kind == _INPUT else f"{model.layers[0].name}_input"
        result.inputs.append(Input(name, first[0], first[1]))
        given = [name]
    else:
        layers = {layer.name: layer for layer in model.layers}
        for ref in model.inputs:
            result.inputs.append(_input(layers.get(ref.layer), ref.layer))
        given = [item.name for item in result.inputs]
    flattener.taken.update(given)
    result.outputs = list(flattener.model(model, (), given))
    last = model.outputs or (Ref(model.layers[-1].name),)
    result.names = _numbered([ref.layer for ref in last])
    return result


def pruned(model: Wired, edits: Sequence[Edit]) -> Wired:
    """What the leading `cut` edits leave of the model, with the outputs that they ask for."""
    steps, outputs, names = model.steps, model.outputs, model.names
    others = dict.fromkeys((item.name for item in model.inputs), INPUT)
    for cut in leading_cuts(edits):
        if cut.outputs:
            renamed = dict(zip(names, outputs, strict=True))
            made = [*(name for step in steps for name in step.outputs), *renamed]
            with cut.numbered:
                names = resolve(cut.outputs, made, {}, others)
            outputs = [renamed.get(name, name) for name in names]
    needed, kept = set(outputs), list[Step]()
    for step in reversed(steps):
        if needed.intersection(step.outputs):
            needed.update(step.inputs)
            kept.append(step)
    return Wired(model.inputs, kept[::-1], list(outputs), list(names))


@dataclass
class _Flattener:
    """Appends the steps of models, in order, under names that are used once."""

    result: Wired
    taken: set[str] = field(default_factory=set)
    calls: int = 0

    def model(self, model: Model, path: tuple[str, ...], given: Sequence[str]) -> Sequence[str]:
        """The tensors that `model` makes of the tensors `given`."""
        if model.sequential:
            tensors: Sequence[str] = list(given)
            for layer in model.layers:
                if layer.kind != _INPUT:
                    tensors = self._call(layer, Call(()), path, tensors)
            return tensors
        if len(given) != len(model.inputs):
            raise ModelbuildError(
                f"the model `{model.name}` takes {len(model.inputs)} tensors, not {len(given)}"
            )
        known = dict(zip(model.inputs, given, strict=True))
        whole = {layer.name for layer in model.layers if layer.model is not None or layer.function}

        counts = _outputs(model)

        def made(ref: Ref) -> str:
            """The tensor that `ref` means, or nothing. No layer that is translated has several outputs, so
            further ones stand for the layer itself, which is refused by its name."""
            return known.get(ref if ref.layer in whole else Ref(ref.layer, ref.call), "")

        for layer, call, index in _in_order(model):
            inputs = [made(ref) for ref in call.inputs if made(ref)]
            if len(inputs) < len(call.inputs):
                continue  # cut off from the inputs; it matters only where an output needs it
            count = counts.get((layer.name, index), 1)
            for place, name in enumerate(self._call(layer, call, path, inputs, count)):
                known[Ref(layer.name, index, place)] = name
        for ref in model.outputs:
            if not made(ref):
                raise ModelbuildError(f"nothing makes output {ref.index} of the layer `{ref.layer}`")
        return [made(ref) for ref in model.outputs]

    def _call(
        self, layer: Layer, call: Call, path: tuple[str, ...], tensors: Sequence[str], count: int = 1
    ) -> Sequence[str]:
        inner = (*path, layer.name)
        self.calls += 1
        if self.calls > _MAX_STEPS:
            raise ModelbuildError(f"the model calls more than {_MAX_STEPS} layers")
        if layer.model is not None:
            if len(inner) > 64:
                raise ModelbuildError("models are nested too deep")
            return self.model(layer.model, inner, tensors)
        name = fresh("/".join(inner), self.taken)
        further = [fresh(f"{name}:{index}", self.taken) for index in range(1, count if layer.function else 1)]
        outputs = (name, *further)
        self.result.steps.append(Step(name, layer, inner, tuple(tensors), call, outputs))
        return outputs


def _outputs(model: Model) -> dict[tuple[str, int], int]:
    """How many outputs of each call of a layer something reads, as the highest one tells."""
    reads = (ref for layer in model.layers for call in layer.calls for ref in call.inputs)
    counts: dict[tuple[str, int], int] = {}
    for ref in itertools.chain(reads, model.outputs):
        if ref.index >= _MAX_OUTPUTS:
            raise ModelbuildError(f"something reads output {ref.index} of the layer `{ref.layer}`")
        counts[ref.layer, ref.call] = max(counts.get((ref.layer, ref.call), 1), ref.index + 1)
    return counts


def _in_order(model: Model) -> list[tuple[Layer, Call, int]]:
    """The calls of a functional model after those whose results they read, else in the order of the file."""
    calls = [
        (layer, call, index)
        for layer in model.layers
        if layer.kind != _INPUT
        for index, call in enumerate(layer.calls)
    ]
    makers = {(layer.name, index): number for number, (layer, _, index) in enumerate(calls)}
    waits = [{makers.get((r.layer, r.call), -1) for r in call.inputs} - {-1} for _, call, _ in calls]
    readers: dict[int, list[int]] = {}
    for number, makes in enumerate(waits):
        for maker in makes:
            readers.setdefault(maker, []).append(number)
    ready = [number for number, makes in enumerate(waits) if not makes]
    order: list[int] = []
    while ready:
        number = heappop(ready)
        order.append(number)
        for reader in readers.get(number, ()):
            waits[reader].discard(number)
            if not waits[reader]:
                heappush(ready, reader)
    return [calls[number] for number in order]


def _first_shape(model: Model) -> tuple[tuple[Any, ...], str]:
    """Shape and element type that a Sequential begins with: of its first layer, wherever that is."""
    if not model.layers:
        raise ModelbuildError(f"the model `{model.name}` has no layers")
    first = model.layers[0]
    found = _input_shape(first) or model.build_shape
    dtype = first.config.get("dtype")
    if not found and first.model is not None:
        inner = first.model
        if inner.sequential:
            return _first_shape(inner)
        layers = {layer.name: layer for layer in inner.layers}
        entry = _input(layers.get(inner.inputs[0].layer), inner.inputs[0].layer)
        return entry.shape, entry.dtype
    return tuple(found), dtype if isinstance(dtype, str) and first.kind == _INPUT else "float32"


def _input(layer: Layer | None, name: str) -> Input:
    if layer is None:
        raise ModelbuildError(f"there is no layer `{name}` for an input of the model")
    dtype = layer.config.get("dtype")
    return Input(name, tuple(_input_shape(layer)), dtype if isinstance(dtype, str) else "float32")


def _input_shape(layer: Layer) -> Sequence[Any]:
    shape = layer.config.get("batch_shape") or layer.config.get("batch_input_shape") or ()
    return shape if isinstance(shape, list | tuple) else ()


def _numbered(names: Sequence[str]) -> list[str]:
    taken: set[str] = set()
    return [fresh(name, taken) for name in names]
