"""What a kmodel costs, read from its bytes, whoever compiled it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from modelbuild.formats import kmodel
from modelbuild.formats.kmodel.kpu_registers import map_bytes
from modelbuild.formats.kmodel.model import Kmodel
from modelbuild.kpu.simulator import Event, Simulation, simulate

RAM = ": kpu"  # how the simulator names the KPU's RAM
DATA = 3  # the location of the memory that functions work in


@dataclass(frozen=True)
class Figures:
    """`kpu_nodes` are layers of the KPU, `cpu_nodes` tensor functions of the stack machine, `cpu_macs` the
    multiply-accumulate operations of these. `main_bytes` are inputs, outputs and working memory, `ram_bytes`
    is how far the KPU's RAM is in use."""

    size: int
    kpu_nodes: int
    cpu_nodes: int
    cpu_macs: int
    main_bytes: int
    ram_bytes: int

    @property
    def memory(self) -> int:
        """Bytes of the main memory and of the KPU's RAM."""
        return self.main_bytes + self.ram_bytes


def figures(data: bytes, inputs: Sequence[np.ndarray]) -> Figures:
    """Of one run in our simulator, which runs the bytes of either compiler. Errors: ModelbuildError."""
    simulation = simulate(data, inputs, strict=False)
    layers = simulation.of("kpu_conv2d")
    functions = [event for event in simulation.events if event.kind == "stackvm"]
    return Figures(
        len(data),
        len(layers),
        len(functions),
        sum(_macs(event) for event in functions),
        _main_bytes(kmodel.read(data)),
        _ram_bytes(simulation),
    )


def _macs(event: Event) -> int:
    """Of a convolution all cells of its windows, those in the padding too, as `graph.statistics` counts."""
    what = {"conv2d": "weights", "matmul": "input_a"}.get(event.name)
    if what is None:
        return 0
    shape = next(access.shape for access in event.reads if access.what == what)
    return math.prod(event.writes[0].shape) * (math.prod(shape[1:]) if what == "weights" else shape[-1])


def _main_bytes(file: Kmodel) -> int:
    assert file.modules is not None and file.entry is not None
    module = file.modules[file.entry[0]]
    function = module.functions[file.entry[1]]
    data = sum(pool.size for pool in module.mempools if pool.code == DATA)
    return data + (function.input_pool or 0) + (function.output_pool or 0)


def _ram_bytes(simulation: Simulation) -> int:
    """The end of the last map that a layer or upload leaves in the KPU's RAM."""
    ends = [0]
    for event in simulation.events:
        for access in (*event.reads, *event.writes):
            if access.memory.endswith(RAM) and len(access.shape) == 4:
                batches, channels, height, width = access.shape
                ends.append(access.offset + batches * map_bytes(width, height, channels))
    return max(ends)
