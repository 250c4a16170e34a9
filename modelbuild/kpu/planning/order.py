"""The order in which operators are executed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.kpu.planning.maps import LAYER, dense_bytes, readers


def late(model: FixedModel) -> FixedModel:
    """The model with what makes more bytes than it reads, as a dequantize does, right before the first
    operator that reads them: until then the smaller tensor is held. All else keeps its order."""
    read_by = readers(model)
    makers = {operator.outputs[0]: index for index, operator in enumerate(model.operators)}
    waiting = {
        index
        for index, operator in enumerate(model.operators)
        if operator.kind != LAYER and operator.outputs[0] in read_by and _grows(model, index)
    }
    order: list[int] = []
    for index in range(len(model.operators)):
        if index not in waiting:
            order += _needed(model, index, makers, waiting)
            order.append(index)
    order += sorted(waiting)  # those that nothing but each other reads
    return replace(model, operators=tuple(model.operators[index] for index in order))


def _grows(model: FixedModel, index: int) -> bool:
    operator = model.operators[index]
    held = sum(dense_bytes(model.tensors[name]) for name in operator.inputs if name not in model.constants)
    return dense_bytes(model.tensors[operator.outputs[0]]) > held


def _needed(model: FixedModel, index: int, makers: dict[str, int], waiting: set[int]) -> Iterator[int]:
    """The waiting operators that this one reads, with those that they read, which wait no longer."""
    for name in model.operators[index].inputs:
        maker = makers.get(name)
        if maker in waiting:
            assert maker is not None
            waiting.remove(maker)
            yield from _needed(model, maker, makers, waiting)
            yield maker
