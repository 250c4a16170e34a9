"""Runs the bytes of a kmodel v5: loads them, binds inputs, follows the entry function."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from modelbuild.formats.kmodel.model import Kmodel
from modelbuild.kpu.simulator import k210, modules, stackvm
from modelbuild.kpu.simulator.events import Recorder, Simulation
from modelbuild.kpu.simulator.limits import MAX_DEPTH, MAX_WORK, Budget, refused
from modelbuild.kpu.simulator.memory import Memory, elements, row_major
from modelbuild.kpu.simulator.modules import LoadedFunction, Port
from modelbuild.kpu.simulator.run import Frame, Run


@dataclass(frozen=True)
class Machine:
    """A kmodel that was read; every `run` begins with fresh memories."""

    model: Kmodel
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]

    def run(
        self, inputs: Sequence[np.ndarray], keep: Collection[str] = (), *, strict: bool = True
    ) -> Simulation:
        """One run. `keep` names the operations whose tensors are kept with their values ("kpu_conv2d",
        "quantize" …; "*": all). Errors: ModelbuildError for inputs that do not fit, and for a file that does
        what it must not: touch what is not its own, read what nothing wrote, or not end. Not `strict`, memory
        that nothing wrote reads as zeros: files that nncase made for its benchmarks need that."""
        memory, budget = Memory(strict), Budget()
        loaded = modules.load(self.model, memory)
        run = Run(self.model, memory, loaded, budget, Recorder(frozenset(keep)), _enter)
        given = _bound(memory, self.inputs, inputs)
        taken = [memory.add(f"output {i}", _size(port)).base for i, port in enumerate(self.outputs)]
        with np.errstate(all="ignore"):
            run.enter(modules.entry(self.model), given, taken)
        outputs = tuple(
            memory.load(place, port.dtype, port.shape, _dense(port)).copy()
            for place, port in zip(taken, self.outputs, strict=True)
        )
        return Simulation(outputs, tuple(run.recorder.events), MAX_WORK - budget.work)


def load(data: bytes) -> Machine:
    """The machine of a kmodel's bytes. Errors: ModelbuildError."""
    model = modules.read(data)
    start = modules.entry(model)
    return Machine(model, start.inputs, start.outputs)


def simulate(
    data: bytes, inputs: Sequence[np.ndarray], keep: Collection[str] = (), *, strict: bool = True
) -> Simulation:
    """Loads and runs; see `Machine.run`."""
    return load(data).run(inputs, keep, strict=strict)


def _bound(memory: Memory, ports: Sequence[Port], inputs: Sequence[np.ndarray]) -> list[int]:
    """The addresses of the inputs."""
    if len(inputs) != len(ports):
        raise refused(f"it has {len(ports)} inputs, and {len(inputs)} are given")
    found = []
    for index, (port, values) in enumerate(zip(ports, inputs, strict=True)):
        if values.shape != port.shape or values.dtype != port.dtype:
            raise refused(
                f"input {index} is {port.dtype} of shape {list(port.shape)}",
                why=f"given is {values.dtype} of shape {list(values.shape)}",
            )
        found.append(memory.add(f"input {index}", 0, np.ascontiguousarray(values).tobytes()).base)
    return found


def _size(port: Port) -> int:
    elements(port.shape)
    return port.size


def _dense(port: Port) -> tuple[int, ...]:
    return row_major(port.shape)


def _enter(run: Run, function: LoadedFunction, inputs: Sequence[int], outputs: Sequence[int]) -> None:
    """Runs a function of either kind."""
    if len(run.active) >= MAX_DEPTH or function in run.active:
        raise refused("its functions call each other without end")
    run.active.append(function)
    frame = Frame(run, run.modules[function.module], function, tuple(inputs), tuple(outputs))
    _RUNNERS[frame.module.kind](frame)
    run.active.pop()


_RUNNERS: Mapping[str, Callable[[Frame], None]] = {"stackvm": stackvm.run, "k210": k210.run}
