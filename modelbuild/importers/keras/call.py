"""What the translation of one layer may see and do: its tensors, settings and weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from modelbuild.errors import ModelbuildError
from modelbuild.graph.model import Array, Attribute, Shape
from modelbuild.importers import channels_last_operators as ops
from modelbuild.importers.channels_last import Writer, source_order
from modelbuild.importers.keras import older
from modelbuild.importers.keras.variables import variables
from modelbuild.importers.keras.wiring import Step

_MAX_NUMBER = 2**20
Attributes = Mapping[str, Attribute]
CUT = "cut the model before it: `edit: [{cut: {outputs: [...]}}]`"


@dataclass
class Call:
    """One step. Shapes and axes are Keras's own; the writer stores tensors as ONNX likes them."""

    writer: Writer
    step: Step
    version: int
    load_weights: Callable[[], list[Array] | None]
    file: str = ""
    backend: Callable[[], str] = str  # the library that Keras ran on when it wrote the weights
    output: str = field(init=False)
    _weights: dict[str, Array] | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.output = self.step.name

    @property
    def label(self) -> str:
        """What errors call the layer."""
        return f"{self.step.layer.kind} `{self.step.name}`"

    @property
    def input(self) -> str:
        """The only input. Raises where there are several."""
        if len(self.step.inputs) != 1:
            self.fail(f"has {len(self.step.inputs)} inputs, where one belongs")
        return self.step.inputs[0]

    def fail(self, what: str, why: str = "", advice: str = "") -> NoReturn:
        """Raises for this layer."""
        raise ModelbuildError(f"{self.label} {what}", why=why, advice=advice)

    # ---- settings

    def setting(self, name: str, default: Any = None) -> Any:
        """A setting as it stands in the file; the default where it is absent or null."""
        value = self.step.layer.config.get(name)
        return default if value is None else value

    def flag(self, name: str, default: bool) -> bool:
        """A truth value."""
        value = self.setting(name, default)
        return value if isinstance(value, bool) else self._wrong(name, value, "true or false")

    def real(self, name: str, default: float) -> float:
        """A finite number."""
        value = self.setting(name, default)
        while isinstance(value, dict) and isinstance(value.get("config"), dict):  # a serialised scalar
            value = value["config"].get("value")
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            self._wrong(name, value, "a number")
        return float(value)

    def integer(self, name: str, default: int | None = None, low: int = 1) -> int:
        """A whole number from `low` on."""
        value = self.setting(name, default)
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
        if type(value) is not int or not low <= value <= _MAX_NUMBER:
            self._wrong(name, value, f"a whole number from {low} on")
        return int(value)

    def integers(self, name: str, count: int, default: Any = None, low: int = 1) -> list[int]:
        """`count` whole numbers, one standing for all."""
        value = self.setting(name, default)
        values = list(value) if isinstance(value, list | tuple) else [value] * count
        if len(values) == 1:
            values = values * count
        if len(values) != count or not all(type(n) is int and low <= n <= _MAX_NUMBER for n in values):
            self._wrong(name, value, f"{count} whole numbers from {low} on")
        return values

    def word(self, name: str, default: str, known: Sequence[str]) -> str:
        """One of the words `known`."""
        value = self.setting(name, default)
        value = value.lower() if isinstance(value, str) else value
        return str(value) if value in known else self._wrong(name, value, f"one of {', '.join(known)}")

    def axis(self, name: str, default: int) -> int:
        """An axis of the input, counted from the front."""
        rank, value = len(self.shape()), self.setting(name, default)
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
        if type(value) is not int or not -rank <= value < rank:
            self._wrong(name, value, f"one of {rank} axes")
        return int(value) % rank

    def _wrong(self, name: str, value: Any, wanted: str) -> NoReturn:
        self.fail(f"has `{name}: {str(value)[:60]}`", why=f"it must be {wanted}")

    # ---- tensors

    def shape(self, tensor: str = "") -> Shape:
        """The shape of `tensor`, or of the only input."""
        return self.writer.shape(tensor or self.input)

    @property
    def channels_first(self) -> bool:
        """Whether the layer's pictures have their channels in front."""
        return (
            self.word("data_format", "channels_last", ("channels_last", "channels_first")) == "channels_first"
        )

    def spatial_shape(self, rank: int) -> tuple[int, ...]:
        """The sizes of the input's pictures. Raises where it has not `rank` axes."""
        shape = self.shape()
        if len(shape) != rank:
            self.fail(f"needs an input of {rank} axes, not {list(shape)}")
        return shape[2:] if self.channels_first else shape[1:-1]

    def channels(self) -> int:
        """The number of channels of the input."""
        return self.shape()[1 if self.channels_first else -1]

    def scratch(self, what: str) -> str:
        """A name for a tensor inside the layer."""
        return self.writer.scratch(f"{self.output}_{what}")

    def spatial(
        self, op: str, data: str, parameters: Sequence[str], output: str, attributes: Attributes | None = None
    ) -> None:
        """An operator on pictures, whichever way the layer has its channels."""
        if self.channels_first:
            order = source_order(len(self.shape(data)))
            self.writer.emit(op, [self.writer.ordered(data), *parameters], {output: order}, attributes)
        else:
            ops.spatial(self.writer, op, data, parameters, output, attributes)

    def number(self, what: str, value: float) -> str:
        """A scalar of float32 as a tensor of the source."""
        return self.values(what, np.float32(value))

    def values(self, what: str, value: Any) -> str:
        """A constant of float32 as a tensor of the source."""
        return self.constant(what, np.asarray(value, np.float32))

    def constant(self, what: str, value: Array) -> str:
        """A constant as a tensor of the source."""
        name = self.writer.scratch(f"{self.output}.{what}")
        self.writer.constant(name, value)
        return name

    def configured(self, settings: Mapping[str, Any]) -> Call:
        """The same call of a layer with other `settings`."""
        return replace(self, step=replace(self.step, layer=replace(self.step.layer, config=settings)))

    def floats(self) -> str:
        """The only input in float32: pictures of bytes may come in."""
        if self.writer.dtype(self.input) == np.float32:
            return self.input
        target = self.scratch("float")
        ops.elementwise(self.writer, "Cast", [self.input], target, {"to": 1})
        return target

    def elementwise(self, op: str, inputs: Sequence[str], output: str = "") -> str:
        """An operator on each number; the name of what it makes."""
        target = output or self.scratch(op.lower())
        ops.elementwise(self.writer, op, inputs, target)
        return target

    def weight(self, name: str, shape: Sequence[int]) -> NDArray[np.float32]:
        """The layer's weights called `name`, which must have `shape`."""
        if self._weights is None:
            self._weights = self._read()
        found = self._weights[name]
        if found.shape != tuple(shape):
            self.fail(
                f"needs `{name}` of the shape {list(shape)}",
                why=f"the file has {list(found.shape)}",
                advice="give the weights that were saved with this model",
            )
        return found.astype(np.float32, copy=False)

    def _read(self) -> dict[str, Array]:
        names = [variable.name for variable in variables(self.step.layer)]
        arrays = self.load_weights()
        if arrays is None:
            self.fail("has no weights in the file", advice="give the file that holds them as `weights:`")
        if len(arrays) != len(names):
            self.fail(f"needs {len(names)} weights ({', '.join(names)})", why=f"the file has {len(arrays)}")
        if names[:1] == ["kernel"]:
            layer = self.step.layer
            first = older.kernel(layer.kind, layer.config, self.version, self.backend(), arrays[0])
            arrays = [first, *arrays[1:]]
        return dict(zip(names, arrays, strict=True))
