"""Layers that never reach DRAM: seen through `output`, and what `output` may not say."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from modelbuild.errors import ModelbuildError
from modelbuild.npu.program import Instruction, LayerPlace, ProgramInterface, TensorPlace
from modelbuild.npu.program import setups as s
from modelbuild.npu.program import tiles as t
from modelbuild.npu.program.transfers import Fill, Layer, Load, Output, Store
from modelbuild.npu.simulator import simulate
from modelbuild.npu.simulator.chip_layers import form
from tests.npu.constant_loads import raw_constants
from tests.npu.simulator.hand_written import DOUBLE, RATES, TIMES_TWO, X, tensor, tiny

INNER = TensorPlace("inner", (1, 2, 4, 2), 8, True, 1.0, 0, 0, 16, where="chip")
Y = tensor("y", 16, 16)
LAYERS = (LayerPlace("a", "rescale", "npu", (INNER,)), LayerPlace("b", "rescale", "npu", (Y,)))
RECORDS = TIMES_TWO * 2


def band(source: int, row: int, target: int, target_row: int) -> t.Rescale:
    """Two rows of both planes, from a whole map of four slots to another."""
    return t.Rescale(
        input=source,
        input_slots=4,
        input_first=row,
        parameters=32,
        output=target,
        output_slots=4,
        output_first=target_row,
        planes=2,
        rows=2,
        columns=2,
    )


START = (Layer(0), DOUBLE, raw_constants(0, 32, 20), Load(0, 0, 16))
FIRST, SECOND = band(0, 0, 64, 0), band(0, 2, 64, 2)
TAIL = (band(64, 0, 80, 0), band(64, 2, 80, 2), Store(16, 80, 16))


def program_of(stream: tuple[Instruction, ...], **changes: Any) -> tuple[bytes, bytes, bytes]:
    """A program of 16 bytes in and out whose first layer stays on the chip."""
    inputs = (tensor("x", 0, 16),)
    layers = changes.pop("layers", LAYERS)
    interface = ProgramInterface("tiny", "multiplier_shift@1", "test", inputs, (Y,), layers, {})
    return tiny(stream, RECORDS, **({"interface": interface, "sram_size": 96} | changes))


def ran(stream: tuple[Instruction, ...], keep: bool = True, **changes: Any) -> Any:
    return simulate(*program_of(stream, **changes), X, keep_layers=keep)


WHOLE = (*START, Output(0, 0, 0), FIRST, Output(0, 0, 2), SECOND, *TAIL)


def test_a_map_that_stays_on_the_chip_is_put_together() -> None:
    found = ran(WHOLE)
    assert np.array_equal(found.layers["inner"], 2 * np.arange(16).reshape(1, 2, 4, 2))
    assert found.layers["inner"].dtype == np.int8
    assert np.array_equal(found.outputs["y"], 4 * np.arange(16))
    assert np.array_equal(found.layers["y"], found.outputs["y"])
    bare = tuple(step for step in WHOLE if not isinstance(step, Output))
    assert ran(bare).cycles == found.cycles
    assert set(ran(bare).layers) == {"y"}
    assert ran(WHOLE, keep=False).layers == {}


def test_one_tile_may_be_a_part_of_two_maps() -> None:
    """As a part of a concat is, which lies where the whole does."""
    whole = replace(INNER, name="whole", shape=(1, 4, 4, 2), size=32)
    layers = (LAYERS[0], LayerPlace("c", "concat", "npu", (whole,)), LAYERS[1])
    stream = (
        *START,
        *(Output(0, 0, 0), Output(1, 0, 0), FIRST, Output(0, 0, 2), Output(1, 0, 2), SECOND),
        *(Output(1, 2, 0), TAIL[0], Output(1, 2, 2), TAIL[1], TAIL[2]),
    )
    found = ran(stream, layers=layers).layers
    x = np.arange(16, dtype=np.int8).reshape(1, 2, 4, 2)
    assert np.array_equal(found["whole"], np.concatenate([2 * x, 4 * x], axis=1))
    assert np.array_equal(found["inner"], 2 * x)


NO_ROWS = s.ReduceMaxSetup(1, 16)
WRONG = {
    "only a part": ((*START, Output(0, 0, 0), FIRST, SECOND, *TAIL), "make only a part of inner"),
    "twice": ((*START, Output(0, 0, 0), FIRST, Output(0, 0, 1), SECOND, *TAIL), "the same part of inner"),
    "a row too far": ((*START, Output(0, 0, 3), FIRST, SECOND, *TAIL), "no part of inner"),
    "a plane too far": ((*START, Output(0, 1, 0), FIRST, SECOND, *TAIL), "no part of inner"),
    "a layer in DRAM": ((*START, Output(1, 0, 0), FIRST, SECOND, *TAIL), "y lies in DRAM"),
    "an unknown layer": ((*START, Output(2, 0, 0), FIRST, SECOND, *TAIL), "layer 2 is not of this group"),
    "nothing follows": ((*START, FIRST, SECOND, *TAIL, Output(0, 0, 0)), "no tile follows"),
    "a group follows": ((*START, FIRST, SECOND, *TAIL, Output(0, 0, 0), Layer(1)), "no tile follows"),
    "a tile without rows": (
        (Layer(0), NO_ROWS, Load(0, 0, 16), Output(0, 0, 0), t.ReduceMax(0, 64, 1)),
        "a tile without rows",
    ),
    "an earlier group": ((*WHOLE, Layer(1), DOUBLE, Output(0, 0, 0), FIRST), "layer 0 is not of this"),
}


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("name", sorted(WRONG))
def test_what_no_output_may_say(name: str, keep: bool) -> None:
    """Whether anybody looks at the layers or not."""
    stream, text = WRONG[name]
    with pytest.raises(ModelbuildError, match=text):
        ran(stream, keep)


def test_a_later_group_is_not_this_one() -> None:
    late = replace(INNER, name="late")
    layers = (*LAYERS, LayerPlace("c", "rescale", "npu", (late,)))
    stream = (*START, Output(2, 0, 0), FIRST, Output(2, 0, 2), SECOND, *TAIL, Layer(2))
    with pytest.raises(ModelbuildError, match="layer 2 is not of this group"):
        ran(stream, layers=layers)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"signed": False}, "no part of inner"),
        ({"shape": (1, 2, 2, 4)}, "no part of inner"),
        ({"where": "dram"}, "inner lies in DRAM"),
        ({"where": "disk"}, "neither in dram nor on the chip"),
        ({"address": 16}, "has no address"),
        ({"shape": (2**30 + 4,), "size": 2**30 + 4}, "has no address"),
    ],
)
def test_tensors_on_the_chip_that_do_not_fit(change: dict[str, Any], text: str) -> None:
    layers = (replace(LAYERS[0], outputs=(replace(INNER, **change),)), LAYERS[1])
    with pytest.raises(ModelbuildError, match=text):
        ran(WHOLE, layers=layers)


def test_planes_rows_and_columns_of_every_rank() -> None:
    shapes = [(), (6,), (2, 3), (2, 3, 4), (2, 3, 4, 5), (2, 2, 3, 4, 5)]
    forms = [(1, 1, 1), (6, 1, 1), (6, 1, 1), (2, 3, 4), (6, 4, 5), (12, 4, 5)]
    assert [form(shape) for shape in shapes] == forms


CONVOLUTION = s.ConvolutionSetup(1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 2, 2, 1, 0, 0, -128, 127)
TABLE = s.TableSetup(1, 1, -128, 1)


def array_and_table(table: s.TableSetup, tile: t.Table) -> tuple[Instruction, ...]:
    """A convolution by 3, and a table that turns the sign."""
    return (
        *(Layer(0), CONVOLUTION, raw_constants(0, 0, 10), raw_constants(10, 64, 256), Load(0, 16, 16)),
        *(t.Convolution(16, 8, 0, 0, 32, 8, 0, 1, 1, 8, 8, 0), table, tile, Store(16, 320, 16)),
    )


def test_a_function_on_the_way_out_of_the_array() -> None:
    weights = b"\3" + bytes(4) + b"\1\0\0\0\0"
    weights += bytes(-index & 255 for index in range(-128, 128))
    tile = t.Table(32, 8, 0, 64, 320, 8, 0, 1, 8, 2)

    def cycles(table: s.TableSetup, tile: t.Table) -> int:
        command = tiny(array_and_table(table, tile), weights, sram_size=336)
        found = simulate(*command, X)
        assert np.array_equal(found.outputs["y"], -3 * np.arange(16))
        return found.cycles

    assert cycles(replace(TABLE, stage=0), tile) - cycles(TABLE, tile) == 16
    with pytest.raises(ModelbuildError, match="on the way out of the array"):
        cycles(TABLE, replace(tile, planes=2, rows=4, input_slots=4, output_slots=4))
    with pytest.raises(ModelbuildError, match="on the way out of the array"):
        cycles(TABLE, replace(tile, input=16))


SIGNS = b"\3" + bytes(4) + b"\1\0\0\0\0" + bytes(-index & 255 for index in range(-128, 128))
FREE = t.Table(32, 8, 0, 64, 320, 8, 0, 1, 8, 2)
LEFT = (
    *(Layer(0), CONVOLUTION, raw_constants(0, 0, 10), raw_constants(10, 64, 256), Load(0, 16, 16)),
    t.Convolution(16, 8, 0, 0, 32, 8, 0, 1, 1, 8, 8, 0),
)
END = Store(16, 320, 16)
NOT_LEFT = {
    "loaded anew": (*LEFT, Store(32, 32, 16), Load(0, 32, 16), TABLE, FREE, END),
    "a byte of it loaded anew": (*LEFT, Store(32, 32, 16), Load(0, 47, 1), TABLE, FREE, END),
    "filled": (*LEFT, Store(32, 32, 16), Fill(1, 0, 32, 16), TABLE, FREE, END),
    "twice": (*LEFT, TABLE, FREE, END, FREE, Store(32, 320, 16)),
    "after a function in its place": (*LEFT, TABLE, replace(FREE, output=32), replace(FREE), END),
}


@pytest.mark.parametrize("name", sorted(NOT_LEFT))
def test_only_what_just_left_the_array_is_free(name: str) -> None:
    program = tiny(NOT_LEFT[name], SIGNS, sram_size=336)
    with pytest.raises(ModelbuildError, match="not of what just left it"):
        simulate(*program, X)


def test_a_fill_is_never_free() -> None:
    """The setup before it is not its own."""
    beside = (*LEFT, TABLE, FREE, END, Fill(1, 0, 336, 16), Store(32, 336, 16))
    waits = (*LEFT, TABLE, FREE, END, s.ReduceMaxSetup(1, 16), Fill(1, 0, 336, 16), Store(32, 336, 16))
    turns = replace(RATES, engines=1)
    first, second = (simulate(*tiny(each, SIGNS, sram_size=352, rates=turns), X) for each in (beside, waits))
    assert first.cycles == second.cycles
