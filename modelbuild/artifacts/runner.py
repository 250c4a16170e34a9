"""Something that takes arrays and gives arrays: a float model, a fixed-point one, a program."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from modelbuild.arithmetic.fixed_model import FixedModel, QuantizedTensor
from modelbuild.arithmetic.number import dequantize_array, quantize_array
from modelbuild.arithmetic.sessions import session
from modelbuild.artifacts import layouts
from modelbuild.artifacts.layouts import Layouts
from modelbuild.artifacts.pictures import pictures
from modelbuild.artifacts.programs import Program
from modelbuild.graph.model import Graph
from modelbuild.graph.session import FloatSession
from modelbuild.npu.program import TensorPlace, interface
from modelbuild.npu.simulator import simulate
from modelbuild.quantize.equalized import factors_in, restored
from modelbuild.quantize.split_graph import Pieces
from modelbuild.quantize.split_record import pieces_in, together
from modelbuild.samples.preprocess import Preprocess, from_settings

Array = NDArray[Any]
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
    preprocess: Mapping[str, Preprocess]  # what is done before the model
    in_model: Mapping[str, Preprocess]  # the declarations of inputs whose pictures the model preprocesses
    layouts: Layouts  # those of the source, where they are others

    def run(self, inputs: Mapping[str, Array], layers: bool = False) -> Arrays:
        """Outputs under their names; with `layers`, every inner tensor that the form can show too.

        Quantized inputs and outputs are integers here; `run_real` converts."""

    def tensors(self) -> Mapping[str, QuantizedTensor]:
        """How the tensors that `run` gives are quantized; empty for float models."""

    def factors(self) -> Mapping[str, NDArray[np.float32]]:
        """What the channels of equalised tensors are multiplied by to be those of the float model."""

    def pieces(self) -> Mapping[str, Pieces]:
        """Of tensors of the float model that are divided by channels, what holds these."""


class FloatRunner:
    """An ONNX model, run by onnxruntime."""

    level = "float"

    def __init__(
        self,
        graph: Graph,
        preprocess: Mapping[str, Preprocess],
        in_model: Mapping[str, Preprocess] = MappingProxyType({}),
    ) -> None:
        self.graph = graph
        self.in_model = in_model
        self._sessions: dict[bool, FloatSession] = {}
        self.preprocess = preprocess
        self.layouts: Layouts = layouts.recorded(graph.metadata)
        self.inputs = tuple(self._port(name) for name in graph.inputs)
        self.outputs = tuple(self._port(name) for name in graph.outputs)

    def _port(self, name: str) -> Port:
        return Port(name, self.graph.shapes[name], str(self.graph.dtypes[name]))

    def run(self, inputs: Mapping[str, Array], layers: bool = False) -> Arrays:
        if layers not in self._sessions:
            self._sessions[layers] = FloatSession(self.graph, "all" if layers else None)
        return self._sessions[layers].run(dict(inputs))

    def tensors(self) -> Mapping[str, QuantizedTensor]:
        return {}

    def factors(self) -> Mapping[str, NDArray[np.float32]]:
        return {}

    def pieces(self) -> Mapping[str, Pieces]:
        return {}


class FixedRunner:
    """A fixed-point model, run by the exact kernels of its number system."""

    level = "fixed"

    def __init__(self, model: FixedModel) -> None:
        self._session = session(model)
        self.model = model
        self.preprocess: Mapping[str, Preprocess] = declared(model.metadata)
        self.in_model: Mapping[str, Preprocess] = declared(model.metadata, "in_model")
        self.layouts: Layouts = layouts.recorded(model.metadata)
        self.inputs = tuple(_port(model.tensors[name]) for name in model.inputs)
        self.outputs = tuple(_port(model.tensors[name]) for name in model.outputs)

    def run(self, inputs: Mapping[str, Array], layers: bool = False) -> Arrays:
        return dict(self._session.run(inputs, "all" if layers else "outputs"))

    def tensors(self) -> Mapping[str, QuantizedTensor]:
        """How each tensor is quantized."""
        return self.model.tensors

    def factors(self) -> Mapping[str, NDArray[np.float32]]:
        """Those of the file's metadata."""
        return factors_in(self.model.metadata)

    def pieces(self) -> Mapping[str, Pieces]:
        """Those of the file's metadata."""
        return pieces_in(self.model.metadata)


class HardwareRunner:
    """One model of a package, simulated from its bytes alone: one sample at a time, whatever its batch."""

    level = "hardware"

    def __init__(self, program: Program) -> None:
        self._program = program
        self.name = program.name
        self._interface = interface(program.command)
        self._pictures = pictures(self._interface)
        self.preprocess: Mapping[str, Preprocess] = declared(self._interface.metadata)
        self.in_model: Mapping[str, Preprocess] = declared(self._interface.metadata, "in_model")
        self.layouts: Layouts = layouts.recorded(self._interface.metadata)
        self.inputs = tuple(_port(self._tensor(place)) for place in self._interface.inputs)
        self.outputs = tuple(_port(self._tensor(place)) for place in self._interface.outputs)

    def run(self, inputs: Mapping[str, Array], layers: bool = False) -> Arrays:
        if self._pictures is None:
            return self._simulated(inputs, layers)
        return self._pictures.together([self._simulated(one, layers) for one in self._pictures.runs(inputs)])

    def _simulated(self, inputs: Mapping[str, Array], layers: bool) -> Arrays:
        program = self._program
        done = simulate(program.command, program.weights, program.host, dict(inputs), keep_layers=layers)
        return {**(done.layers if layers else {}), **done.outputs}

    def tensors(self) -> Mapping[str, QuantizedTensor]:
        """How each tensor is quantized, so far as the program's descriptor tells."""
        described = self._interface
        inner = (place for layer in described.layers for place in layer.outputs)
        return {place.name: self._tensor(place) for place in (*described.inputs, *inner, *described.outputs)}

    def _tensor(self, place: TensorPlace) -> QuantizedTensor:
        shape = place.shape if self._pictures is None else self._pictures.shape(place.shape)
        return QuantizedTensor(place.name, shape, place.bits, place.signed, place.scale, place.zero_point)

    def factors(self) -> Mapping[str, NDArray[np.float32]]:
        """Those of the program's descriptor."""
        return factors_in(self._interface.metadata)

    def pieces(self) -> Mapping[str, Pieces]:
        """Those of the program's descriptor."""
        return pieces_in(self._interface.metadata)


def declared(metadata: Mapping[str, str], key: str = "preprocess") -> dict[str, Preprocess]:
    """The preprocessing that travels with a model, by input: what is done before it, or `in_model`."""
    return {name: from_settings(given) for name, given in json.loads(metadata.get(key, "{}")).items()}


def _port(tensor: QuantizedTensor) -> Port:
    return Port(tensor.name, tensor.shape, str(tensor.dtype), tensor)


def run_real(runner: Runner, inputs: Mapping[str, Array], layers: bool = False) -> Arrays:
    """Real numbers in, real numbers out, whatever the form: quantizes and dequantizes at the borders. Whole
    numbers (places, counts) stay what they are."""
    quantized = {port.name: port.quantized for port in runner.inputs}
    integers: Arrays = {}
    for name, value in inputs.items():
        tensor = quantized[name]
        integers[name] = value if tensor is None else quantize_array(value, tensor)
    found = runner.run(integers, layers)
    tensors, factors = runner.tensors(), runner.factors()
    real = {
        name: restored(dequantize_array(value, tensors[name]).astype(np.float32), factors.get(name))
        if name in tensors and not tensors[name].whole
        else value
        for name, value in found.items()
    }
    return {**real, **together(real, runner.pieces())}
