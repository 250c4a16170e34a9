"""Small fixed models made by hand, for tests of planning."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from modelbuild.arithmetic.fixed_model import FixedModel, FixedOperator, Integers, QuantizedTensor


class Maker:
    """A model that grows by named operators; tensors are signed, of 8 bits, with zero point 0."""

    def __init__(self, **inputs: tuple[int, ...]) -> None:
        self.tensors: dict[str, QuantizedTensor] = {}
        self.constants: dict[str, Integers] = {}
        self.operators: list[FixedOperator] = []
        self.inputs = tuple(inputs)
        for name, shape in inputs.items():
            self.tensor(name, shape)

    def tensor(self, name: str, shape: tuple[int, ...]) -> str:
        self.tensors[name] = QuantizedTensor(name, shape, 8, True, 1.0, 0)
        return name

    def add(
        self, kind: str, name: str, inputs: list[str], shape: tuple[int, ...], unit: str = "npu", **more: Any
    ) -> str:
        """An operator of kind `kind` that makes tensor `name`; arrays in `more` are constants."""
        constants = {role: value for role, value in more.items() if isinstance(value, np.ndarray)}
        parameters = {key: value for key, value in more.items() if key not in constants}
        named = {role: f"{name}/{role}" for role in constants}
        self.constants |= {named[role]: value for role, value in constants.items()}
        self.tensor(name, shape)
        self.operators.append(
            FixedOperator(kind, name, tuple(inputs), (name,), parameters, named, (name,), unit)
        )
        return name

    def conv(
        self,
        name: str,
        source: str,
        outputs: int,
        kernel: int = 1,
        stride: int = 1,
        pad: int = 0,
        **more: Any,
    ) -> str:
        """A square convolution; `group` and `dilation` in `more`."""
        n, channels, *size = self.tensors[source].shape
        group, dilation = more.pop("group", 1), more.pop("dilation", 1)
        span = dilation * (kernel - 1) + 1
        after = [(extent + 2 * pad - span) // stride + 1 for extent in size]
        return self.add(
            "conv",
            name,
            [source],
            (n, outputs, *after),
            weight=np.zeros((outputs, channels // group, kernel, kernel), np.int8),
            bias=np.zeros(outputs, np.int32),
            multiplier=np.ones(outputs, np.int32),
            shift=np.zeros(outputs, np.int32),
            strides=(stride, stride),
            pads=(pad,) * 4,
            dilations=(dilation, dilation),
            group=group,
            input_zero=0,
            output_zero=0,
            low=-128,
            high=127,
            **more,
        )

    def table(self, name: str, source: str) -> str:
        return self.add(
            "table", name, [source], self.tensors[source].shape, table=np.zeros(256, np.int8), input_low=-128
        )

    def plus(self, name: str, a: str, b: str, kind: str = "add") -> str:
        scaling = {"multiplier": 1} if kind == "multiply" else {"input_multiplier": 1, "other_multiplier": 1}
        zeros = {"input_zero": 0, "other_zero": 0, "output_zero": 0}
        shape = self.tensors[a].shape
        return self.add(kind, name, [a, b], shape, shift=0, low=-128, high=127, **scaling, **zeros)

    def pool(self, name: str, source: str, kernel: int, stride: int, kind: str = "max_pool") -> str:
        n, channels, *size = self.tensors[source].shape
        after = [(extent - kernel) // stride + 1 for extent in size]
        more: dict[str, Any] = {"kernel": (kernel,) * 2, "strides": (stride,) * 2, "pads": (0,) * 4}
        return self.add(
            kind, name, [source], (n, channels, *after), dilations=(1, 1), low=-128, high=127, **more
        )

    def rescale(self, name: str, source: str) -> str:
        shape = self.tensors[source].shape
        zeros = {"input_zero": 0, "output_zero": 0}
        return self.add("rescale", name, [source], shape, multiplier=3, shift=1, low=-128, high=127, **zeros)

    def concat(self, name: str, parts: list[str], axis: int = 1, multipliers: tuple[int, ...] = ()) -> str:
        shape = list(self.tensors[parts[0]].shape)
        shape[axis] = sum(self.tensors[part].shape[axis] for part in parts)
        count = len(parts)
        return self.add(
            "concat",
            name,
            parts,
            tuple(shape),
            axis=axis,
            input_zeros=(0,) * count,
            multipliers=multipliers or (1,) * count,
            shifts=(0,) * count,
            output_zero=0,
            low=-128,
            high=127,
        )

    def reshape(self, name: str, source: str, shape: tuple[int, ...]) -> str:
        self.add("reshape", name, [source], shape)
        self.operators[-1] = replace(self.operators[-1], parameters={"shape": shape})
        return name

    def slice(self, name: str, source: str, starts: tuple[int, ...], ends: tuple[int, ...]) -> str:
        shape = tuple(end - start for start, end in zip(starts, ends, strict=True))
        return self.add("slice", name, [source], shape, starts=starts, ends=ends, steps=(1,) * len(starts))

    def model(self, *outputs: str) -> FixedModel:
        return FixedModel(
            "made",
            "multiplier_shift@1",
            "test",
            self.inputs,
            outputs,
            self.tensors,
            self.constants,
            tuple(self.operators),
        )
