"""Open a model file of any kind as something that takes arrays and gives arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from modelbuild.arithmetic import multiplier_shift
from modelbuild.arithmetic.fixed_model import FixedModel, QuantizedTensor
from modelbuild.arithmetic.number import dequantize_array, quantize_array
from modelbuild.artifacts.kinds import identify
from modelbuild.artifacts.programs import Program, programs
from modelbuild.errors import ModelbuildError
from modelbuild.graph.model import Graph
from modelbuild.graph.session import FloatSession
from modelbuild.importers import load as import_model
from modelbuild.npu.program import interface
from modelbuild.npu.simulator import simulate
from modelbuild.quantize import fixed_onnx
from modelbuild.samples.preprocess import Preprocess, from_json

Array = NDArray[np.generic]
Arrays = dict[str, Array]


@dataclass(frozen=True)
class Port:
    """An input or output: shape as the model has it, and how it is quantized where it is."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    quantized: QuantizedTensor | None = None


class Runner(Protocol):
    """A model that can be run. `level` is float, fixed or hardware."""

    level: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    preprocess: Mapping[str, Preprocess]

    def run(self, inputs: Mapping[str, Array], layers: bool = False) -> Arrays:
        """Outputs under their names; with `layers`, every inner tensor that the form can show too.

        Quantized inputs and outputs are integers here; `run_real` converts."""


class FloatRunner:
    """An ONNX model, run by onnxruntime."""

    level = "float"

    def __init__(self, graph: Graph, preprocess: Mapping[str, Preprocess]) -> None:
        self._graph = graph
        self._sessions: dict[bool, FloatSession] = {}
        self.preprocess = preprocess
        self.inputs = tuple(self._port(name) for name in graph.inputs)
        self.outputs = tuple(self._port(name) for name in graph.outputs)

    def _port(self, name: str) -> Port:
        return Port(name, self._graph.shapes[name], str(self._graph.dtypes[name]))

    def run(self, inputs: Mapping[str, Array], layers: bool = False) -> Arrays:
        if layers not in self._sessions:
            self._sessions[layers] = FloatSession(self._graph, "all" if layers else None)
        return self._sessions[layers].run(dict(inputs))


class FixedRunner:
    """A fixed-point model, run by the exact integer kernels."""

    level = "fixed"

    def __init__(self, model: FixedModel) -> None:
        self.model = model
        self.preprocess = declared_preprocess(model.metadata)
        self.inputs = tuple(self._port(name) for name in model.inputs)
        self.outputs = tuple(self._port(name) for name in model.outputs)

    def _port(self, name: str) -> Port:
        tensor = self.model.tensors[name]
        return Port(name, tensor.shape, str(tensor.dtype), tensor)

    def run(self, inputs: Mapping[str, Array], layers: bool = False) -> Arrays:
        return dict(multiplier_shift.run(self.model, dict(inputs), "all" if layers else "outputs"))


class HardwareRunner:
    """One model of a package, run by the simulator from the packaged bytes alone."""

    level = "hardware"

    def __init__(self, program: Program) -> None:
        self._program = program
        self.interface = interface(program.command)
        self.preprocess = declared_preprocess(self.interface.metadata)
        self.inputs = tuple(Port(t.name, t.shape, str(t.dtype), t) for t in map(as_tensor, self.interface.inputs))
        self.outputs = tuple(
            Port(t.name, t.shape, str(t.dtype), t) for t in map(as_tensor, self.interface.outputs)
        )

    def run(self, inputs: Mapping[str, Array], layers: bool = False) -> Arrays:
        program = self._program
        done = simulate(program.command, program.weights, program.host, dict(inputs), keep_layers=layers)
        return {**(done.layers if layers else {}), **done.outputs}
