"""An operator together with the tensors and constants that it names, with typed access."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from modelbuild.arithmetic.fixed_model import FixedModel, FixedOperator, Integers, QuantizedTensor

Kernel = Callable[..., Integers]


@dataclass(frozen=True)
class Bound:
    """One operator of one model; its parameters have been validated."""

    operator: FixedOperator
    inputs: tuple[QuantizedTensor, ...]
    output: QuantizedTensor
    model: FixedModel

    def number(self, name: str) -> int:
        """A parameter that is an integer."""
        value = self.operator.parameters[name]
        assert isinstance(value, int)
        return value

    def numbers(self, name: str) -> tuple[int, ...]:
        """A parameter that is a list of integers."""
        value = self.operator.parameters[name]
        assert isinstance(value, tuple)
        return tuple(item for item in value if isinstance(item, int))

    def text(self, name: str) -> str:
        """A parameter that is a text."""
        value = self.operator.parameters[name]
        assert isinstance(value, str)
        return value

    def constant(self, role: str) -> Integers:
        """The integers in the role `weight`, `bias`, `multiplier` ..."""
        return self.model.constants[self.operator.constants[role]]

    @property
    def operand_bits(self) -> int:
        """8 or 16: the widest of the input tensors and the weights."""
        widths = [16 if tensor.bits > 8 else 8 for tensor in self.inputs]
        if "weight" in self.operator.constants:
            widths.append(16 if self.constant("weight").dtype.itemsize > 1 else 8)
        return max(widths)


def bind(model: FixedModel, operator: FixedOperator) -> Bound:
    """The operator with its tensors looked up."""
    inputs = tuple(model.tensors[name] for name in operator.inputs)
    return Bound(operator, inputs, model.tensors[operator.outputs[0]], model)


def magnitude(tensor: QuantizedTensor, zero: int) -> int:
    """The largest |x - zero| that the tensor can hold."""
    return max(tensor.high - zero, zero - tensor.low)
