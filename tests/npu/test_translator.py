"""A plan made by hand, as instructions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.npu.emitting.constants import Constants
from modelbuild.npu.emitting.emitter import Emitter
from modelbuild.npu.emitting.whereabouts import maps_in_dram
from modelbuild.npu.planning.plan import (
    Action,
    Buffer,
    Compute,
    Group,
    Load,
    LoadConstants,
    Operand,
    Plan,
    Region,
    Store,
    View,
)
from modelbuild.npu.program import Instruction
from modelbuild.npu.program import setups as s
from modelbuild.npu.program import tiles as t
from modelbuild.npu.program import transfers as f
from modelbuild.npu.program.transfers import Loop
from modelbuild.npu.translator import Translator
from tests.npu.simulator import hand_written
from tests.npu.small_models import Maker

RATES = replace(hand_written.RATES, engines=1, layer_overhead=9)


def instructions(model: FixedModel, plan: Plan, rates: object = RATES) -> list[Instruction]:
    emitter = Emitter(RATES if rates is RATES else rates, Constants())  # type: ignore[arg-type]
    translator = Translator(model, plan, maps_in_dram(model, plan))
    for group in plan.groups:
        translator.group(group, emitter)
    return emitter.instructions


def two_convolutions() -> FixedModel:
    """Of 3 rows and of 1 row; 2 channels, pictures of 8 x 4."""
    maker = Maker(x=(1, 2, 8, 4))
    maker.conv("a", "x", 2, 3, 1, 1)
    maker.conv("y", "a", 2)
    return maker.model("y")


RING = Buffer(0, 2, 4, 4)  # of x: 2 planes of 4 slots
MIDDLE = Buffer(32, 2, 2, 4)
RESULT = Buffer(48, 2, 2, 4)


def band(row: int, rows: int, loads: tuple[int, int] | None) -> list[Action]:
    """Rows of both convolutions, after rows first..end of x have been loaded."""
    found: list[Action] = []
    if loads:
        found.append(Load(Region("x", 0, 2, loads[0], loads[1] - loads[0]), Operand(RING, 0)))
    middle, result = Operand(MIDDLE, 0), Operand(RESULT, 0)
    found.append(Compute(0, Region("a", 0, 2, row, rows), (Operand(RING, 0),), middle, 64))
    found.append(Compute(1, Region("y", 0, 2, row, rows), (middle,), result, 128))
    found.append(Store(Region("y", 0, 2, row, rows), result))
    return found


def streamed() -> Plan:
    weights = [
        LoadConstants(0, Region("a", 0, 2, 0, 8), 64),
        LoadConstants(1, Region("y", 0, 2, 0, 8), 128),
    ]
    bands = [*band(0, 2, (0, 3)), *band(2, 2, (3, 5)), *band(4, 2, (5, 7)), *band(6, 2, (7, 8))]
    return Plan((Group((0, 1), (*weights, *bands)),), {}, {"x": 0, "y": 64})


def test_a_ring_that_begins_anew_is_loaded_in_two_pieces() -> None:
    found = [it for it in instructions(two_convolutions(), streamed()) if isinstance(it, f.Load)]
    planes = (Loop(2, 32, 16),)
    assert found == [
        f.Load(0, 0, 12, planes),
        f.Load(12, 12, 4, planes),  # row 3 in slot 3
        f.Load(16, 0, 4, planes),  # row 4 in slot 0
        f.Load(20, 4, 8, planes),
        f.Load(28, 12, 4, planes),
    ]


def test_tiles_say_where_their_rows_begin() -> None:
    found = [it for it in instructions(two_convolutions(), streamed()) if isinstance(it, t.Convolution)]
    first = [it for it in found if it.weights == 64]
    rows = [(it.input_slots, it.input_first, it.input_rows, it.pad_top, it.output_first) for it in first]
    assert rows == [(4, 0, 3, 1, 0), (4, 1, 4, 0, 0), (4, 3, 4, 0, 0), (4, 1, 3, 0, 0)]
    assert {(it.input, it.output, it.groups, it.group_outputs) for it in first} == {(0, 32, 1, 2)}
    second = [it for it in found if it.weights == 128]
    assert {(it.input, it.input_rows, it.output) for it in second} == {(32, 2, 48)}


def test_markers_setups_and_stores() -> None:
    found = instructions(two_convolutions(), streamed())
    assert found[0] == f.Layer(0)
    shown = [it for it in found if isinstance(it, f.Output)]
    assert shown == [f.Output(0, 0, row) for row in (0, 2, 4, 6)]  # y lies in DRAM
    assert sum(isinstance(it, s.ConvolutionSetup) for it in found) == 8  # they take turns
    stores = [it for it in found if isinstance(it, f.Store)]
    assert [(it.dram, it.sram, it.length) for it in stores] == [(64 + 8 * n, 48, 8) for n in range(4)]


def test_rows_on_a_chip_that_moves_whole_rows_of_16() -> None:
    rates = replace(RATES, row_alignment=16)
    found = next(it for it in instructions(two_convolutions(), streamed(), rates) if isinstance(it, f.Load))
    assert (found.length, found.loops) == (4, (Loop(2, 32, 16), Loop(3, 4, 4)))


def test_a_part_of_the_channels_and_a_view() -> None:
    """Channel 1 of y alone, into a larger map's memory; its constants are packed once."""
    model = two_convolutions()
    whole = Operand(Buffer(0, 2, 8, 4), 0)
    part = Operand(Buffer(64, 1, 8, 4), 0)
    region = Region("y", 1, 1, 0, 8)
    actions = (
        Load(Region("a", 0, 2, 0, 8), whole),
        LoadConstants(1, region, 128),
        Compute(1, region, (whole,), part, 128),
        Store(region, part),
    )
    plan = Plan((Group((1,), actions),) * 2, {"y": View("big", 32)}, {"x": 0, "a": 64, "big": 128})
    found = instructions(model, plan)
    store = next(it for it in found if isinstance(it, f.Store))
    assert (store.dram, store.length) == (128 + 32 + 32, 32)
    loaded = [it for it in found if isinstance(it, f.LoadConstants)]
    assert [(it.dram, it.length, it.stored) for it in loaded] == [(0, 11, 11)] * 2
    tile = next(it for it in found if isinstance(it, t.Convolution))
    assert (tile.groups, tile.group_outputs, tile.output_slots) == (1, 1, 8)


def test_what_is_packed() -> None:
    """weights of a filter, then the records."""
    model = two_convolutions()
    constants = Constants()
    emitter = Emitter(RATES, constants)
    plan = streamed()
    Translator(model, plan, maps_in_dram(model, plan)).group(plan.groups[0], emitter)
    weight = model.constants[model.operators[0].constants["weight"]]
    assert len(constants.data) == constants.size == 2 * (18 + 9) + 2 * (2 + 9)
    assert np.frombuffer(bytes(constants.data[:36]), np.int8).tolist() == weight.reshape(-1).tolist()


@pytest.mark.parametrize("fused", [False, True])
def test_a_function_behind_its_convolution(fused: bool) -> None:
    maker = Maker(x=(1, 2, 4, 4))
    maker.conv("a", "x", 2)
    maker.add("table", "y", ["a"], (1, 2, 4, 4), table=np.arange(-128, 128, dtype=np.int8), input_low=-128)
    model = maker.model("y")
    operators = (model.operators[0], replace(model.operators[1], fused=fused))
    places = [Operand(Buffer(32 * index, 2, 4, 4), 0) for index in range(3)]
    actions = (
        Load(Region("x", 0, 2, 0, 4), places[0]),
        LoadConstants(0, Region("a", 0, 2, 0, 4), 128),
        LoadConstants(1, Region("y", 0, 2, 0, 4), 256),
        Compute(0, Region("a", 0, 2, 0, 4), (places[0],), places[1], 128),
        Compute(1, Region("y", 0, 2, 0, 4), (places[1],), places[2], 256),
        Store(Region("y", 0, 2, 0, 4), places[2]),
    )
    plan = Plan((Group((0, 1), actions),), {}, {"x": 0, "y": 32})
    found = instructions(replace(model, operators=operators), plan)
    setup = next(it for it in found if isinstance(it, s.TableSetup))
    assert setup.stage == int(fused)
