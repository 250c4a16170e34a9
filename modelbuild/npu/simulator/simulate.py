"""From three byte strings and input integers to output integers and cycles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelbuild.errors import ModelbuildError
from modelbuild.npu.program import (
    HostProgram,
    Program,
    TensorPlace,
    check_section,
    decode,
    decode_host,
)
from modelbuild.npu.program.descriptor import DRAM
from modelbuild.npu.simulator.chip_layers import ChipLayers
from modelbuild.npu.simulator.clock import clock
from modelbuild.npu.simulator.limits import check_limits
from modelbuild.npu.simulator.machine import Hooks, Machine
from modelbuild.npu.simulator.memory import Constants, Dram, Scratchpad, failure
from modelbuild.npu.simulator.steps import steps
from modelbuild.npu.simulator.used import used

ARITHMETIC = "multiplier_shift@1"
Integers = NDArray[np.integer]


@dataclass(frozen=True)
class Simulation:
    """Integer outputs by name, the NPU's cycles, and (if asked for) the layers' tensors by name: those in
    DRAM, and of those on the chip the ones that `output` instructions tell of."""

    outputs: dict[str, Integers]
    cycles: int
    layers: dict[str, Integers]


def simulate(
    command: bytes,
    weights: bytes,
    host: bytes,
    inputs: Mapping[str, Integers],
    keep_layers: bool = False,
) -> Simulation:
    """Runs a program on `inputs`, integer arrays of exactly the program's shapes.

    Malformed bytes or wrong inputs are a ModelbuildError with exit code 2; a program that reaches outside its
    memories, reads what was never written, or overflows is one with exit code 1.
    """
    program = decode(command)
    if program.interface.arithmetic != ARITHMETIC:
        raise ModelbuildError(
            f"the simulator knows {ARITHMETIC}, not {program.interface.arithmetic}", where="I/O descriptor"
        )
    check_section(weights, program.weights_size, program.weights_checksum, "weights section")
    check_section(host, program.host_size, program.host_checksum, "host section")
    run = _Run(program, decode_host(host), weights, keep_layers)
    run.write_inputs(inputs)
    return run.finish()


class _Run:
    """The memories of one run, and which layers are done."""

    def __init__(self, program: Program, host: HostProgram, weights: bytes, keep_layers: bool) -> None:
        self._program = program
        self._host = host
        self._keep = keep_layers
        self._steps = steps(program.instructions, program.rates)
        self._segments = [steps(segment, program.rates) for segment in host.segments]
        check_limits(program.interface, (self._steps, *self._segments), keep_layers)
        streams = (program.instructions, *host.segments)
        self._dram = Dram("DRAM", program.dram_size, used(program.interface, streams, keep_layers))
        self._sram = Scratchpad("SRAM", program.sram_size)
        self._weights = Constants("the weights", weights)
        self._host_constants = Constants("the host's constants", host.constants)
        self._clock = clock(program.rates, program.sram_size)
        self._layers: dict[str, Integers] = {}
        self._chip_layers = ChipLayers(program.interface.layers, keep_layers)
        self._next_layer = 0
        self._next_segment = 0

    def write_inputs(self, inputs: Mapping[str, Integers]) -> None:
        """Checks the inputs and lays them into DRAM."""
        wanted = {tensor.name for tensor in self._program.interface.inputs}
        if set(inputs) != wanted:
            raise ModelbuildError(
                f"the inputs must be {', '.join(sorted(wanted))}, not {', '.join(sorted(inputs))}",
                where="inputs",
            )
        for tensor in self._program.interface.inputs:
            values = np.asarray(inputs[tensor.name])
            if values.dtype.kind not in "iu" or values.shape != tensor.shape:
                raise ModelbuildError(
                    f"an array of integers of shape {tensor.shape} is needed, "
                    f"not {values.dtype} of shape {values.shape}",
                    where=f"input {tensor.name}",
                )
            if values.size and (int(values.min()) < tensor.low or int(values.max()) > tensor.high):
                raise ModelbuildError(
                    f"values must be in {tensor.low}..{tensor.high}", where=f"input {tensor.name}"
                )
            self._dram.write(tensor.address, values, tensor.type)

    def finish(self) -> Simulation:
        """Runs the program and reads its outputs."""
        hooks = Hooks(self._begin_layer, self._run_segment, self._chip_layers.show)
        Machine(self._sram, self._dram, self._weights, self._clock, hooks).run(self._steps)
        self._complete_layers(len(self._program.interface.layers))
        if self._next_segment != len(self._host.segments):
            raise ModelbuildError("malformed program: a host segment never runs", where="host section")
        self._sram.check_all_read()
        outputs = {tensor.name: self._read(tensor) for tensor in self._program.interface.outputs}
        return Simulation(outputs, self._clock.now, self._layers)

    def _begin_layer(self, index: int) -> None:
        if not self._next_layer <= index < len(self._program.interface.layers):
            raise failure(f"layer {index} stands after layer {self._next_layer - 1}")
        self._complete_layers(index)
        self._next_layer = index + 1
        self._chip_layers.begin(index)
        self._dram.begin_group()

    def _complete_layers(self, end: int) -> None:
        """The layers of a group are done together, those without code of their own with those before."""
        self._layers |= self._chip_layers.finish(end)
        first = max(0, self._next_layer - 1)
        if self._keep:
            for layer in self._program.interface.layers[first:end]:
                for tensor in layer.outputs:
                    if tensor.where == DRAM:
                        self._layers[tensor.name] = self._read(tensor)

    def _run_segment(self, index: int) -> None:
        if index != self._next_segment or index >= len(self._host.segments):
            raise failure(f"host segment {index} does not follow segment {self._next_segment - 1}")
        self._next_segment += 1
        hooks = Hooks(self._begin_layer, _no_nesting, self._chip_layers.show)
        workspace = Scratchpad("the host's workspace", self._host.workspace)
        Machine(workspace, self._dram, self._host_constants, None, hooks).run(self._segments[index])
        workspace.check_all_read()

    def _read(self, tensor: TensorPlace) -> Integers:
        try:
            count = tensor.size // tensor.type.size
            return self._dram.read_final(tensor.address, count, tensor.type).reshape(tensor.shape)
        except ModelbuildError as error:
            raise ModelbuildError(
                error.problems[0].what, where=f"tensor {tensor.name}", exit_code=error.exit_code
            ) from None


def _no_nesting(index: int) -> None:
    raise failure("a host segment yields to another")
