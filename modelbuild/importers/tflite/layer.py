"""What the rules of the operators work with: one TFLite operator, its tensors and options, and the graph."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from modelbuild.errors import ModelbuildError
from modelbuild.formats.tflite_schema import Activation
from modelbuild.graph.kept_quantization import CODES, Kept
from modelbuild.graph.model import Shape
from modelbuild.importers import channels_last_operators as ops
from modelbuild.importers.channels_last import Writer
from modelbuild.importers.tflite import constants
from modelbuild.importers.tflite.model import Model, Operator

RAW = "TFLite computes it with the codes as they are, so that its result is not that of the numbers"
_SAME_SCALE = "convert it again, so that its tensors have one scale and zero point"
_LARGEST_STATIC = 65_536  # numbers of a constant that steers an operator: axes, a shape, indices


@dataclass
class State:
    """One import under way."""

    model: Model
    writer: Writer
    values: constants.Constants
    kept: dict[str, Kept] = field(default_factory=dict)  # source tensor -> its quantization, in its own axes


@dataclass
class Layer:
    """One operator. Inputs are numbered as in the file."""

    state: State
    operator: Operator

    @property
    def writer(self) -> Writer:
        """Where the nodes go."""
        return self.state.writer

    @property
    def label(self) -> str:
        """What errors call the operator."""
        return f"{self.operator.op} `{self.operator.name}`"

    @property
    def output(self) -> str:
        """The name of the first output."""
        return self.outputs[0]

    @property
    def outputs(self) -> list[str]:
        """The names of all outputs."""
        return self.state.model.names(self.operator.outputs)

    @property
    def count(self) -> int:
        """How many inputs the operator has."""
        return len(self.operator.inputs)

    def has(self, index: int) -> bool:
        """Whether the input is there."""
        return index < self.count and self.operator.inputs[index] >= 0

    def input(self, index: int) -> str:
        """The name of an input that must be there; a constant is read now."""
        if not self.has(index):
            raise self.wrong(f"has no input {index}")
        tensor = self.state.model.tensors[self.operator.inputs[index]]
        if not self.writer.has(tensor.name):
            if tensor.span is None:
                reason = tensor.unsupported or "nothing makes it"
                raise self.wrong(f"reads the tensor `{tensor.name}`, and {reason}")
            self.writer.constant(tensor.name, self.state.values.value(tensor))
            self.keep(tensor.name, constants.kept(tensor))
        return tensor.name

    def inputs(self) -> list[str]:
        """The names of all inputs."""
        return [self.input(index) for index in range(self.count)]

    def bias(self, index: int, data: int = 0, weights: int = 1) -> str:
        """A bias as ONNX takes it; its scale is that of the input `data` times that of `weights`. Where two
        operators share one and these differ, it is two constants."""
        tensors = self.state.model.tensors
        factors = [tensors[max(self.operator.inputs[i], 0)] for i in (data, weights)]
        tensor = constants.bias_of(tensors[self.operator.inputs[index]], *factors)
        name, entry = tensor.name, constants.kept(tensor)
        if tensor.span is None or (self.writer.has(name) and self.state.kept.get(name) == entry):
            return self.writer.ordered(self.input(index))
        if self.writer.has(name):
            name = self.writer.scratch(f"{name}_{self.operator.name}")
        self.writer.constant(name, self.state.values.value(tensor))
        self.keep(name, entry)
        return self.writer.ordered(name)

    def weights(self, index: int) -> str:
        """The name of weights for the data of input 0. Those of uint8 beside floats hold int8, whatever the
        file says: so the first converters wrote them (EvalHybrid in conv.cc and fully_connected.cc)."""
        if not self.has(0) or not self.has(index):
            return self.input(index)
        data, tensor = (self.state.model.tensors[self.operator.inputs[i]] for i in (0, index))
        found = tensor.quantization
        if (tensor.type, data.type) != ("uint8", "float32") or found is None:
            return self.input(index)
        if tensor.span is not None and not self.writer.has(tensor.name):
            plain = replace(found, zero_points=np.zeros_like(found.zero_points))
            tensor = replace(tensor, type="int8", quantization=plain)
            self.writer.constant(tensor.name, self.state.values.value(tensor))
            self.keep(tensor.name, constants.kept(tensor))
        return self.input(index)

    def keep(self, name: str, entry: Kept | None) -> None:
        """Notes the quantization of a tensor."""
        if entry is not None:
            self.state.kept[name] = entry

    def alias(self, scratch: str, name: str) -> str:
        """`scratch`, which holds the numbers of the source's tensor `name` in another shape."""
        entry = self.state.kept.get(name)
        if entry is not None and entry.axis is None:
            self.keep(scratch, entry)
        return scratch

    def reads_alone(self, index: int) -> bool:
        """Whether nothing else reads the input, and it is no output of the model."""
        number, model = self.operator.inputs[index], self.state.model
        readers = sum(number in operator.inputs for operator in model.operators)
        return readers == 1 and number not in model.outputs

    def shape(self, index: int) -> Shape:
        """The shape of an input."""
        return self.writer.shape(self.input(index))

    def rank(self, index: int) -> int:
        """The number of axes of an input."""
        return len(self.shape(index))

    def ints(self, index: int) -> list[int]:
        """The integers of an input that must be the same for all inputs of the model."""
        if not self.has(index):
            raise self.wrong(f"has no input {index}")
        tensor = self.state.model.tensors[self.operator.inputs[index]]
        if tensor.span is not None:
            if tensor.span[1] > 8 * _LARGEST_STATIC:
                raise self.wrong(f"takes {tensor.span[1]} bytes of `{tensor.name}` for its settings")
            found = self.state.values.stored(tensor)
        else:
            known = self.writer.value(self.input(index))
            if known is None:
                raise ModelbuildError(
                    f"{self.label} takes `{tensor.name}`, which depends on the data, for its settings",
                    why="an NPU program has fixed shapes",
                    advice="cut the model before it, or convert it with fixed shapes",
                )
            found = known
        if found.dtype.kind not in "iu":
            raise self.wrong(f"takes `{tensor.name}` of {found.dtype} for integers")
        return [int(value) for value in found.reshape(-1)]

    def one(self, index: int) -> int:
        """The one integer of such an input."""
        found = self.ints(index)
        if len(found) != 1:
            raise self.wrong(f"has {len(found)} numbers as input {index}, where one belongs")
        return found[0]

    def axis(self, value: int, rank: int) -> int:
        """An axis of `rank` counted from 0."""
        if not -rank <= value < rank:
            raise self.wrong(f"has the axis {value} of {rank}")
        return value % rank

    def axes(self, values: list[int], rank: int) -> list[int]:
        """Axes of `rank` counted from 0, each once, ascending."""
        return sorted({self.axis(value, rank) for value in values})

    def option(self, slot: int, default: int = 0, layout: str = "i") -> int:
        """An integer, enumeration (`b`) or flag (`B`) of the operator's options."""
        table = self.operator.options
        return default if table is None else table.integer(slot, layout, default)

    def real(self, slot: int, default: float = 0.0) -> float:
        """A float of the operator's options."""
        table = self.operator.options
        return default if table is None else table.real(slot, default)

    def activated(
        self, code: int, write: Callable[[str], None], saturates: bool = False, output: str = ""
    ) -> None:
        """Has `write` make the operator's result, and applies the fused activation `code` to it.

        With `saturates` a result whose codes begin at 0.0 is a Relu, which converters leave out there
        since limiting the integer does the same; a range that ends at 6 is a Relu6.
        """
        output = output or self.output
        if code not in LIMITS:
            raise self.wrong(f"has the fused activation {_name(code)}", _NOT_APPLIED, _APART)
        limits = LIMITS[code]
        if code == Activation.NONE and saturates:
            limits = self._saturation()
        if limits is None:
            write(output)
            return
        raw = self.writer.scratch(f"{output}_linear")
        write(raw)
        ops.clip(self.writer, raw, output, *limits)

    def _saturation(self) -> tuple[float, float | None] | None:
        entry = self.state.kept.get(self.output)
        if entry is None or entry.axis is not None or entry.zero_point[0] != CODES[entry.dtype][0]:
            return None
        high = entry.range()[1]
        return (0.0, 6.0 if abs(high - 6) < 0.03 else None)

    def at_one_scale(self, names: Sequence[str], kinds: Collection[str]) -> None:
        """Raises where codes of `kinds`, which TFLite takes as they are here, have different meanings."""
        entries = [self.state.kept.get(name) for name in names]
        if any(e is not None and e.dtype in kinds and e != entries[0] for e in entries):
            raise self.wrong("has tensors of different scales or zero points", RAW, _SAME_SCALE)

    def wrong(self, what: str, why: str = "", advice: str = "") -> ModelbuildError:
        """The error for an operator that the file does not have as TFLite would take it."""
        return ModelbuildError(f"{self.label} {what}", why=why, advice=advice)


def _name(activation: int) -> str:
    return next((known.name for known in Activation if known == activation), str(activation))


_NOT_APPLIED = "TFLite's own kernels leave it out, so that what the file says and what it computes differ"
_APART = "convert it again with the activation as an operator of its own"
LIMITS: dict[int, tuple[float, float | None] | None] = {
    Activation.NONE: None,
    Activation.RELU: (0.0, None),
    Activation.RELU_N1_TO_1: (-1.0, 1.0),
    Activation.RELU6: (0.0, 6.0),
}
Rule = Callable[[Layer], None]
