"""Maps whose rows lie in rings: every kind of tile makes of them what it makes of dense ones."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelbuild.errors import ModelbuildError
from modelbuild.npu.program import Instruction, LayerPlace, Program, ProgramInterface, encode
from modelbuild.npu.program import setups as s
from modelbuild.npu.program import tiles as t
from modelbuild.npu.program.codec import encode_instructions
from modelbuild.npu.program.transfers import End, Layer, Load, Store
from modelbuild.npu.simulator import simulate
from tests.npu.constant_loads import raw_constants
from tests.npu.simulator.hand_written import RATES, tensor

Extents = tuple[int, int, int]  # planes, rows, bytes of a row
SRAM = 1 << 16


@dataclass(frozen=True)
class Case:
    """A tile less its addresses, slots and firsts."""

    kind: type[Instruction]
    setup: Instruction
    inputs: tuple[Extents, ...]
    output: Extents
    constants: tuple[tuple[str, bytes], ...]
    fields: dict[str, int]


@dataclass(frozen=True)
class Ring:
    """Row r of a plane in slot (first + r) % slots."""

    slots: int
    first: int


def dense(extents: Extents) -> Ring:
    return Ring(extents[1], 0)


def numbers(seed: int, size: int) -> bytes:
    return np.random.default_rng(seed).integers(0, 256, size, np.uint8).tobytes()


def records(seed: int, count: int) -> bytes:
    """Bias, multiplier and shift of each channel."""
    draw = np.random.default_rng(seed)
    rows = ((int(draw.integers(-500, 500)), int(draw.integers(1, 90)), 12) for _ in range(count))
    return b"".join(
        bias.to_bytes(4, "little", signed=True) + multiplier.to_bytes(4, "little") + bytes([shift])
        for bias, multiplier, shift in rows
    )


def scalings(count: int) -> bytes:
    return b"".join((3 + index).to_bytes(4, "little") + b"\2" for index in range(count))


def pairs(entries: Sequence[tuple[int, int, int, int]]) -> bytes:
    return b"".join(value.to_bytes(2, "little") for entry in entries for value in entry)


EXTREMES = {"low": -128, "high": 127}
WINDOW = {"kernel_height": 3, "kernel_width": 2, "stride_height": 2, "stride_width": 1}
CONVOLUTION = s.ConvolutionSetup(
    **WINDOW,
    input_type=1,
    weight_type=1,
    output_type=1,
    dilation_height=1,
    dilation_width=2,
    input_step_height=1,
    input_step_width=1,
    pad_left=1,
    input_width=5,
    output_width=4,
    group_inputs=3,
    input_zero=-3,
    output_zero=5,
    **EXTREMES,
)
ROWS = pairs([(2, 3, 1000, 1048), (3, 4, 2048, 0), (5, 4, 24, 2024), (2, 6, 512, 1536)])
COLUMNS = pairs([(0, 1, 1024, 1024), (1, 1, 2048, 0)])

CASES = {
    "convolution": Case(
        t.Convolution,
        CONVOLUTION,
        ((6, 7, 5),),
        (4, 3, 4),
        (("weights", numbers(1, 4 * 3 * 6) + records(2, 4)),),
        {"groups": 2, "group_outputs": 2, "input_rows": 7, "output_rows": 3, "pad_top": 1},
    ),
    "max-pool": Case(
        t.MaxPool,
        s.MaxPoolSetup(1, 3, 2, 2, 1, 1, 2, 1, 5, 4, -100, 100),
        ((3, 6, 5),),
        (3, 3, 4),
        (),
        {"channels": 3, "input_rows": 6, "output_rows": 3, "pad_top": 1},
    ),
    "average-pool": Case(
        t.AveragePool,
        s.AveragePoolSetup(1, 0, 1, 3, 2, 2, 1, 0, 5, 4, 5, 1, -1, 7, 0, 255),
        ((3, 7, 5),),
        (3, 3, 4),
        (("parameters", (6).to_bytes(4, "little") + (11).to_bytes(4, "little") + b"\6"),),
        {"channels": 3, "input_rows": 7, "output_rows": 3, "pad_top": 0, "counted_rows": 7},
    ),
    "resize": Case(
        t.Resize,
        s.ResizeSetup(1, 2, 2, 4, -128, 127),
        ((2, 5, 2),),
        (2, 4, 2),
        (("row_table", ROWS), ("column_table", COLUMNS)),
        {"channels": 2, "input_rows": 5, "first_row": 2, "output_rows": 4},
    ),
    "sum": Case(
        t.Binary,
        s.BinarySetup(0, 1, 1, 1, 0, 2, -5, 1, -128, 127),
        ((2, 4, 3), (2, 4, 3)),
        (2, 4, 3),
        (("parameters", (3).to_bytes(4, "little") + (2).to_bytes(4, "little") + b"\2"),),
        {"planes": 2, "rows": 4, "columns": 3},
    ),
    "product by a factor a plane": Case(
        t.Binary,
        s.BinarySetup(1, 1, 1, 1, 0b110_000, 2, -5, 1, -128, 127),
        ((2, 4, 3), (2, 1, 1)),
        (2, 4, 3),
        (("parameters", (3).to_bytes(4, "little") + b"\11"),),
        {"planes": 2, "rows": 4, "columns": 3},
    ),
    "rescale": Case(
        t.Rescale,
        s.RescaleSetup(1, 0, 3, 100, 0, 255),
        ((2, 4, 3),),
        (2, 4, 3),
        (("parameters", scalings(4)),),
        {"planes": 2, "rows": 4, "columns": 3},
    ),
    "table": Case(
        t.Table,
        s.TableSetup(1, 1, -128),
        ((2, 4, 3),),
        (2, 4, 3),
        (("parameters", numbers(3, 256)),),
        {"planes": 2, "rows": 4, "columns": 3},
    ),
    "curve": Case(
        t.Curve,
        s.CurveSetup(3, 1, 14, 4, -32768, 0, -128, 127),
        ((2, 4, 6),),
        (2, 4, 3),
        (("parameters", b"".join((v * 5000).to_bytes(4, "little") for v in range(12))),),
        {"planes": 2, "rows": 4, "columns": 3},
    ),
}


@dataclass(frozen=True)
class Made:
    """A program of one tile, and where in its instructions setup and tile stand."""

    command: bytes
    weights: bytes
    inputs: dict[str, np.ndarray[tuple[int], np.dtype[np.int8]]]
    spans: tuple[range, ...]


def made(case: Case, inputs: Sequence[Ring], output: Ring, seed: int) -> Made:
    """A program that runs the tile on random maps that lie in these rings."""
    sizes = [planes * rows * width for planes, rows, width in (*case.inputs, case.output)]
    bases = [sum(sizes[:index]) for index in range(len(sizes))]
    places = [tensor(f"x{index}", *place) for index, place in enumerate(zip(bases, sizes, strict=True))]
    stream: list[Instruction] = [Layer(0), case.setup]
    cursor, weights = 16, b""
    fields = dict(case.fields)
    for name, data in case.constants:
        stream.append(raw_constants(len(weights), cursor, len(data)))
        fields[name] = cursor
        weights, cursor = weights + data, cursor + len(data)
    for index, (extents, ring) in enumerate(zip(case.inputs, inputs, strict=True)):
        stream += rows_of(Load, bases[index], cursor, extents, ring)
        fields |= located(("input", "other")[index], cursor, ring)
        cursor += extents[0] * ring.slots * extents[2]
    fields |= located("output", cursor, output)
    stream.append(case.kind(**fields))
    tile = len(stream) - 1
    stream += [*rows_of(Store, bases[-1], cursor, case.output, output), End()]
    layers = (LayerPlace("l0", "any", "npu", (places[-1],)),)
    interface = ProgramInterface(
        "rings", "multiplier_shift@1", "test", tuple(places[:-1]), (places[-1],), layers, {}
    )
    checksum = zlib.crc32(weights)
    program = Program(interface, tuple(stream), RATES, sum(sizes), SRAM, len(weights), checksum, 0, 0)
    draw = np.random.default_rng(seed)
    values = {place.name: draw.integers(-128, 128, place.size).astype(np.int8) for place in places[:-1]}
    spans = tuple(
        range(len(encode_instructions(stream[:at])), len(encode_instructions(stream[: at + 1])))
        for at in (1, tile)
    )
    return Made(encode(program), weights, values, spans)


def run(case: Case, inputs: Sequence[Ring], output: Ring, seed: int) -> Any:
    """What the tile makes of random maps that lie in these rings."""
    program = made(case, inputs, output, seed)
    found = simulate(program.command, program.weights, b"", program.inputs)
    return next(iter(found.outputs.values()))


def located(name: str, address: int, ring: Ring) -> dict[str, int]:
    return {name: address, f"{name}_slots": ring.slots, f"{name}_first": ring.first}


def rows_of(
    kind: Callable[..., Instruction], dram: int, sram: int, extents: Extents, ring: Ring
) -> list[Instruction]:
    """A transfer for every row of every plane."""
    planes, rows, width = extents
    return [
        kind(
            dram + (plane * rows + row) * width,
            sram + (plane * ring.slots + (ring.first + row) % ring.slots) * width,
            width,
        )
        for plane in range(planes)
        for row in range(rows)
    ]


@pytest.mark.parametrize("name", sorted(CASES))
@given(data=st.data(), seed=st.integers(0, 99))
def test_every_tile_works_on_rings(name: str, data: st.DataObject, seed: int) -> None:
    case = CASES[name]

    def ring(extents: Extents) -> Ring:
        slots = data.draw(st.integers(extents[1], extents[1] + 3))
        return Ring(slots, data.draw(st.integers(0, slots - 1)))

    plain = run(case, [dense(extents) for extents in case.inputs], dense(case.output), seed)
    wrapped = run(case, [ring(extents) for extents in case.inputs], ring(case.output), seed)
    assert np.array_equal(plain, wrapped)
    assert len(set(plain.tolist())) > 3


@pytest.mark.parametrize("name", sorted(CASES))
def test_a_tile_that_looks_at_another_slot_is_noticed(name: str) -> None:
    """One slot is free; a tile whose first is one off reads it."""
    case = CASES[name]
    stream = []

    def shifted(kind: Callable[..., Instruction]) -> Callable[..., Instruction]:
        def made(**fields: int) -> Instruction:
            fields["input_first"] = (fields["input_first"] + 1) % fields["input_slots"]
            stream.append(kind(**fields))
            return stream[-1]

        return made

    rings = [Ring(extents[1] + 1, 0) for extents in case.inputs]
    broken = Case(shifted(case.kind), *(getattr(case, name) for name in list(vars(case))[1:]))  # type: ignore[arg-type]
    with pytest.raises(ModelbuildError, match="never written"):
        run(broken, rings, dense(case.output), 0)
    assert len(stream) == 1


def test_operands_of_one_row_may_lie_in_a_ring() -> None:
    case = CASES["product by a factor a plane"]
    plain = run(case, [dense(extents) for extents in case.inputs], dense(case.output), 1)
    assert np.array_equal(plain, run(case, [Ring(4, 0), Ring(5, 4)], dense(case.output), 1))


def test_an_operand_with_more_rows_than_slots_is_malformed() -> None:
    case = CASES["sum"]
    with pytest.raises(ModelbuildError, match="4 rows of an operand in 3 slots") as caught:
        run(case, [Ring(4, 0), Ring(3, 0)], dense(case.output), 0)
    assert caught.value.exit_code == 2
