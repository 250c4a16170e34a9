"""Every bit of a tile, its setup, and the header, turned: refused, an error, or a result; never a crash, nor
memory or time out of all proportion."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from collections.abc import Iterable

import numpy as np
import pytest

from modelbuild.errors import ModelbuildError
from modelbuild.npu.program import Instruction
from modelbuild.npu.program.codec import encode_instructions
from modelbuild.npu.program.transfers import SHORT, Layer, LoadConstants, Output
from modelbuild.npu.simulator import simulate
from tests.npu.sealing import HEADER_SIZE, border, seal
from tests.npu.simulator.hand_written import SCALE, TIMES_TWO, X, tiny
from tests.npu.simulator.test_chip_layers import WHOLE, program_of
from tests.npu.simulator.test_decompress import pack
from tests.npu.simulator.test_rings import CASES, Ring, made

EACH, FEW = 1, 4  # of the bits of a tile, one in so many is turned: two of every byte, others of the next
MEMORY = 1 << 25  # bytes that a program of a few hundred bytes may take on its way to an error
Sections = tuple[bytes, bytes, bytes]
Inputs = dict[str, "np.ndarray[tuple[int], np.dtype[np.int8]]"]


def outcomes(program: Sections, inputs: Inputs, positions: Iterable[int], step: int = EACH) -> Counter[str]:
    """What becomes of a program with one bit turned, for every `step`th bit of these bytes."""
    command, weights, host = program
    expected = simulate(*program, inputs, keep_layers=True)
    found: Counter[str] = Counter()
    for position in positions:
        for bit in range(position % step, 8, step):
            changed = bytearray(command)
            changed[position] ^= 1 << bit
            try:
                result = simulate(
                    seal(bytes(changed), weights, host), weights, host, inputs, keep_layers=True
                )
            except ModelbuildError:
                found["error"] += 1
                continue
            same = all(
                np.array_equal(result.outputs[name], expected.outputs[name]) for name in result.outputs
            )
            found["same" if same else "other"] += 1
    return found


def within(
    size: int, program: Sections, inputs: Inputs, positions: Iterable[int], step: int = EACH
) -> Counter[str]:
    tracemalloc.start()
    try:
        found = outcomes(program, inputs, positions, step)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < size
    return found


def at(stream: tuple[Instruction, ...], kinds: tuple[type[Instruction], ...], start: int) -> list[int]:
    """Positions of all bytes of the instructions of these kinds."""
    found: list[int] = []
    for instruction in stream:
        size = len(encode_instructions([instruction]))
        if isinstance(instruction, kinds):
            found += range(start, start + size)
        start += size
    return found


@pytest.mark.parametrize("step", [FEW, pytest.param(EACH, marks=pytest.mark.long)], ids=["short", "long"])
@pytest.mark.parametrize("name", sorted(CASES))
def test_tiles_and_setups(name: str, step: int) -> None:
    case = CASES[name]
    rings = [Ring(extents[1] + 1, extents[1] - 1) for extents in (*case.inputs, case.output)]
    program = made(case, rings[:-1], rings[-1], 1)
    start = border(program.command)
    positions = [start + offset for span in program.spans for offset in span]
    found = within(MEMORY, (program.command, program.weights, b""), program.inputs, positions, step)
    assert found["error"] > found["same"]
    assert found["error"] and found["other"]


def test_markers_groups_and_packed_constants() -> None:
    program = program_of(WHOLE)
    positions = at(WHOLE, (Output, Layer, LoadConstants), border(program[0]))
    assert within(MEMORY, program, X, positions)["error"] > len(positions)
    packed = pack(TIMES_TWO, 3)
    load = LoadConstants(0, 32, len(TIMES_TWO), codec=SHORT, stored=len(packed))
    stream = tuple(load if isinstance(step, LoadConstants) else step for step in SCALE)
    program = tiny(stream, packed)
    assert not within(MEMORY, program, X, at(stream, (LoadConstants,), border(program[0])))["other"]


def test_packed_bytes() -> None:
    packed = pack(TIMES_TWO, 3)
    load = LoadConstants(0, 32, len(TIMES_TWO), codec=SHORT, stored=len(packed))
    stream = tuple(load if isinstance(step, LoadConstants) else step for step in SCALE)
    found: Counter[str] = Counter()
    for position in range(8 * len(packed)):
        weights = bytearray(packed)
        weights[position // 8] ^= 1 << position % 8
        try:
            result = simulate(*tiny(stream, bytes(weights)), X)
        except ModelbuildError:
            found["error"] += 1
        else:
            found["other" if result.outputs["y"].tolist() != list(range(0, 32, 2)) else "same"] += 1
    assert found["error"] and found["other"]
    assert found["same"] <= 4 * 8 + 8  # what scales values below 0, of which there are none


def test_the_header() -> None:
    """Sizes of memories may grow to their limits; rates change cycles only."""
    program = tiny(SCALE, TIMES_TWO)
    rates = range(46, HEADER_SIZE - 4)
    found = within(MEMORY, program, X, rates)
    assert found["same"] and found["error"] and not found["other"]
    assert not outcomes(program, X, range(22))["other"]
    assert not outcomes(program, X, range(22, 30))["other"]
