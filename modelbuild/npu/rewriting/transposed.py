"""Convolutions over an input with zeros between its cells, as `quantize` writes a ConvTranspose: made one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from modelbuild.arithmetic.fixed_model import FixedModel, FixedOperator, QuantizedTensor
from modelbuild.npu.rewriting.users import Users

_CHAIN = ("reshape", "pad", "reshape", "slice", "conv")


def fold(model: FixedModel) -> FixedModel:
    """The chain reshape, pad, reshape, slice, conv becomes one `conv` with a parameter `input_step`.

    `input_step` (2): cells of the input lie so far apart, with cells that contribute 0 between them; `pads`
    count in the picture so made. Operators in between and their tensors vanish.
    """
    makers = {operator.outputs[0]: index for index, operator in enumerate(model.operators)}
    found = _Finder(model, makers, Users(model))
    gone: set[int] = set()
    made: dict[int, FixedOperator] = {}
    for index, operator in enumerate(model.operators):
        chain = found.chain(index)
        if chain is None:
            continue
        step = _step(model.tensors, chain)
        if step is None:
            continue
        gone.update(makers[each.outputs[0]] for each in chain[:-1])
        parameters = {**operator.parameters, "input_step": step}
        made[index] = replace(operator, inputs=chain[0].inputs, parameters=parameters)
    if not made:
        return model
    operators = tuple(
        made.get(index, operator) for index, operator in enumerate(model.operators) if index not in gone
    )
    hidden = {model.operators[index].outputs[0] for index in gone}
    tensors = {name: tensor for name, tensor in model.tensors.items() if name not in hidden}
    return replace(model, operators=operators, tensors=tensors)


@dataclass(frozen=True)
class _Finder:
    model: FixedModel
    makers: Mapping[str, int]
    users: Users

    def chain(self, index: int) -> tuple[FixedOperator, ...] | None:
        """The five operators that end with this one, each the only reader of the one before."""
        operator = self.model.operators[index]
        if operator.kind != _CHAIN[-1]:
            return None
        chain = [operator]
        for kind in reversed(_CHAIN[:-1]):
            source = chain[0].inputs[0]
            if source not in self.makers or self.users.only_reader(source) is None:
                return None
            before = self.model.operators[self.makers[source]]
            if before.kind != kind or before.unit != operator.unit:
                return None
            chain.insert(0, before)
        return tuple(chain)


def _step(tensors: Mapping[str, QuantizedTensor], chain: tuple[FixedOperator, ...]) -> tuple[int, int] | None:
    """How far the cells are apart, if the chain does nothing but put them there."""
    _, pad, _, cut, conv = chain
    shape = tensors[chain[0].inputs[0]].shape
    padded = tensors[pad.outputs[0]].shape
    if len(shape) != 4 or len(padded) != 6 or padded[2] != shape[2] or padded[4] != shape[3]:
        return None
    down, right = padded[3], padded[5]
    ends = (*shape[:2], (shape[2] - 1) * down + 1, (shape[3] - 1) * right + 1)
    holds = (
        tensors[pad.inputs[0]].shape == (*shape[:3], 1, shape[3], 1)
        and pad.parameters["before"] == (0,) * 6
        and pad.parameters["after"] == (0, 0, 0, down - 1, 0, right - 1)
        and pad.parameters["value"] == conv.parameters["input_zero"]
        and tensors[cut.inputs[0]].shape == (*shape[:2], shape[2] * down, shape[3] * right)
        and tensors[cut.outputs[0]].shape == ends
        and cut.parameters["starts"] == (0,) * 4
        and cut.parameters["steps"] == (1,) * 4
    )
    return (down, right) if holds else None
