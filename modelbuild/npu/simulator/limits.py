"""Bounds on what a program may cost, so that no hostile file can hold up the machine that reads it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from modelbuild.errors import ModelbuildError
from modelbuild.npu.program import ProgramInterface
from modelbuild.npu.program.descriptor import CHIP
from modelbuild.npu.simulator.steps import Step

MAX_WORK = 1 << 40  # multiply-accumulates, elements and bytes together: some 250 ResNet-50s
MAX_CYCLES = 1 << 60  # of all instructions, one after another
MAX_LAYER_BYTES = 1 << 31  # of all layers' outputs together, of those that are watched


def check_limits(
    interface: ProgramInterface, streams: Iterable[Sequence[Step]], keep_layers: bool = False
) -> None:
    """Instructions that add up to more than MAX_WORK or MAX_CYCLES, or layers to more bytes than
    MAX_LAYER_BYTES, are a ModelbuildError. Watched are layers on the chip, and all if they are kept."""
    layers = (tensor for layer in interface.layers for tensor in layer.outputs)
    kept = sum(tensor.size for tensor in layers if keep_layers or tensor.where == CHIP)
    if kept > MAX_LAYER_BYTES:
        raise ModelbuildError(
            f"its layers have {kept} bytes together; a simulation holds {MAX_LAYER_BYTES}",
            where="I/O descriptor",
        )
    touched = [step.access for stream in streams for step in stream if step.access]
    work, cycles = sum(each.work for each in touched), sum(each.cycles for each in touched)
    if work > MAX_WORK:
        raise ModelbuildError(f"malformed program: it asks for {work} operations", where="instructions")
    if cycles > MAX_CYCLES:
        raise ModelbuildError(f"malformed program: it takes {cycles} cycles", where="instructions")
