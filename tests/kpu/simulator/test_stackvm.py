"""Instructions of the stack machine by hand."""

from __future__ import annotations

import numpy as np
import pytest

from modelbuild.errors import ModelbuildError
from modelbuild.kpu.simulator import simulate
from tests.kpu.simulator.handmade import (
    DATA,
    F32,
    I32,
    I64,
    INPUT,
    OUTPUT,
    RDATA,
    U8,
    Code,
    Module,
    dense,
    kmodel,
    one,
)

X = np.array([3, -5], np.int32)


Step = tuple[object, ...]
# What instructions leave on the stack.
NUMBERS: tuple[tuple[list[Step], int], ...] = (
    ([("ldc_i4", 7), ("ldc_i4", -2), ("div",)], -3),
    ([("ldc_i4", 7), ("ldc_i4", -2), ("rem",)], -3),  # the runtime divides here too
    ([("ldc_i4", -8), ("ldc_i4", 2), ("div_u",)], ((1 << 64) - 8) // 2),
    ([("ldc_i4", -8), ("ldc_i4", 1), ("shr",)], -4),
    ([("ldc_i4", -8), ("ldc_i4", 60), ("shr_u",)], 15),
    ([("ldc_i4", 3), ("ldc_i4", 65), ("shl",)], 6),
    ([("ldc_i4", 6), ("not",)], -7),
    ([("ldc_i4", 6), ("neg",)], -6),
    ([("ldc_i4", -1), ("ldc_i4", 1), ("clt",)], 1),
    ([("ldc_i4", -1), ("ldc_i4", 1), ("clt_u",)], 0),
    ([("ldc_r4", 1.5), ("ldc_r4", 2.0), ("mul",), ("conv_i4",)], 3),
    ([("ldc_r4", -3.9), ("conv_i",)], -3),
    ([("ldc_r4", 3e9), ("conv_i4",)], -(1 << 31)),
    ([("ldc_i4", 300), ("conv_u1",)], 44),
    ([("ldc_i4", 200), ("conv_i1",)], -56),
    ([("ldc_i4_1",), ("dup",), ("add",)], 2),
    ([("ldc_i4", 9), ("ldc_i4", 4), ("pop",)], 9),
    ([("ldc_r4", 1.5), ("ldc_r4", 0.25), ("div",), ("conv_i4",)], 6),
    ([("ldc_r4", 1.5), ("ldc_r4", 0.25), ("cgt",)], 1),
    ([("ldc_r4", 1.5), ("neg",), ("conv_i2",)], -1),
    ([("ldc_i4", 1), ("conv_r4",), ("ldc_r4", 0.5), ("add",), ("conv_br2",), ("ldc_r4", 1.5), ("ceq",)], 1),
    ([("ldc_r4", 1.003), ("conv_br2",), ("ldc_r4", 1000.0), ("mul",), ("conv_i4",)], 1000),
    ([("ldc_i4", 12), ("ldc_i4", 10), ("and",)], 8),
    ([("ldc_i4", 12), ("ldc_i4", 10), ("or",)], 14),
    ([("ldc_i4", 12), ("ldc_i4", 10), ("xor",)], 6),
    ([("ldc_i4", -7), ("ldc_i4", 2), ("rem_u",)], ((1 << 64) - 7) // 2),
    ([("ldc_i4", 70_000), ("conv_i2",)], 4464),
    ([("ldc_i4", 5), ("ldc_i4", 5), ("cne",)], 0),
    ([("ldc_i4", -5), ("ldc_i4", 5), ("cge_u",)], 1),
)


def whole(code: Code, *, rdata: bytes = b"", data: int = 0) -> int:
    """What the code leaves in the only output, an int64; the input is X."""
    found = simulate(one(code, [(I32, (2,))], [(I64, (1,))], rdata, data), [X])
    return int(found.outputs[0][0])


def kept(*steps: tuple[object, ...]) -> int:
    """The top of the stack after these instructions."""
    code = Code().push((OUTPUT, 0))
    for step in steps:
        code.op(*step)  # type: ignore[arg-type]
    return whole(code.op("stind_i"))


@pytest.mark.parametrize(("steps", "value"), NUMBERS)
def test_numbers(steps: list[Step], value: int) -> None:
    assert kept(*steps) == value


def test_loads_and_stores() -> None:
    code = Code().push((OUTPUT, 0)).push((INPUT, 0)).push(1).op("ldelem_i4").op("stind_i")
    assert whole(code) == -5
    code = Code().push((OUTPUT, 0)).push((RDATA, 1)).op("ldind_u2").op("stind_i")
    assert whole(code, rdata=bytes([9, 1, 2])) == 0x0201
    code = Code().push((DATA, 0)).push(2).push(77).op("stelem_i1")
    code.push((OUTPUT, 0)).push((DATA, 2)).op("ldind_i1").op("stind_i")
    assert whole(code, data=4) == 77


def test_a_loop() -> None:
    """10 + 9 + … + 1 in the output, the counter in the data."""
    code = Code().push((OUTPUT, 0)).push(0).op("stind_i").push((DATA, 0)).push(10).op("stind_i4")
    start = len(code.data)
    code.push((OUTPUT, 0)).push((OUTPUT, 0)).op("ldind_i").push((DATA, 0)).op("ldind_i4").op("add").op(
        "stind_i"
    )
    code.push((DATA, 0)).push((DATA, 0)).op("ldind_i4").push(1).op("sub").op("stind_i4")
    code.push((DATA, 0)).op("ldind_i4")
    code.op("br_true", start - (len(code.data) + 5)).op("ret").op("throw")
    assert whole(code, data=4) == 55


def test_inputs_are_told_by_where_they_begin() -> None:
    code = Code()
    for place, start in enumerate((0, 8)):
        code.tensor(
            "copy", [(INPUT, start + 4), (OUTPUT, 4 * place)], datatype=F32, rshape=(1,), rstride_src=(1,),
            rstride_dest=(1,),
        )  # fmt: skip
    data = one(code, [(F32, (2,)), (F32, (2,))], [(F32, (2,))])
    found = simulate(data, [np.array([1, 2], np.float32), np.array([3, 4], np.float32)])
    assert found.outputs[0].tolist() == [2, 4]


def test_a_call_and_what_is_recorded() -> None:
    inner = Code().tensor(
        "unary", [(INPUT, 0), (OUTPUT, 0)], datatype=F32, rshape_src=(3,), rstride_src=(1,),
        rstride_dest=(1,), unary_op=8,
    )  # fmt: skip
    port = (F32, (3,))
    outer = Code().call(1, [((INPUT, 0), port)], [((OUTPUT, 0), port)])
    data = kmodel(
        Module("stackvm", bytes(outer.data), [port], [port]),
        Module("stackvm", bytes(inner.data), [port], [port]),
    )
    found = simulate(data, [np.array([1, 2, 3], np.float32)], keep=["unary"])
    assert found.outputs[0].tolist() == [-1, -2, -3]
    (event,) = found.events
    assert (event.name, event.module, event.kind, event.exact) == ("unary", 1, "stackvm", True)
    assert (event.reads[0].memory, event.writes[0].memory) == ("input 0", "output 0")
    assert event.writes[0].values is not None
    assert event.writes[0].values.tolist() == [-1, -2, -3]
    assert simulate(data, [np.zeros(3, np.float32)]).events[0].writes[0].values is None


@pytest.mark.parametrize(
    ("code", "why"),
    [
        (Code().op("br", -5), "more than 1000000 instructions"),
        (Code().op("br", 100), "outside of the code"),
        (Code().op("add"), "empty stack"),
        (Code().push(1).push(0).op("div"), "divides 1 by 0"),
        (Code().push(5).op("ldind_i4"), "no address"),
        (Code().op("ldnull").op("ldind_i4"), "no address"),
        (Code().push((INPUT, 0)).push(2).op("ldelem_i4"), "ends at 12"),
        (Code().push((DATA, 0)).op("ldind_i1"), "nothing wrote byte 0"),
        (Code().push((RDATA, 0)).push(1).op("stind_i1"), "constants"),
        (Code().op("ldarg_0"), "no ldarg_0"),
        (Code().push((7, 0)), "location 7"),
        (Code().push((DATA, 5)), "5 of 4 bytes"),
        (Code(bytearray(b"\xff")), "no opcode 0xff"),
        (Code(bytearray(b"\x5e\x05\x00")), "no tensor function 5"),
        (Code(bytearray(b"\x5e\x04")), "ends after the code"),
        (Code().call(0, [((INPUT, 0), (I32, (2,)))], [((OUTPUT, 0), (I64, (1,)))]), "without end"),
        (Code().call(9, [], []), "no function 0 of module 9"),
    ],
)  # fmt: skip
def test_what_is_refused(code: Code, why: str) -> None:
    with pytest.raises(ModelbuildError, match=why) as caught:
        simulate(one(code, [(I32, (2,))], [(I64, (1,))], b"\1", 4), [X])
    assert "module 0, function 0, offset 0x" in str(caught.value)


def test_inputs_that_do_not_fit() -> None:
    data = one(Code(), [(U8, (2, 3))], [])
    for given in ([], [np.zeros((2, 3), np.int8)], [np.zeros(6, np.uint8)]):
        with pytest.raises(ModelbuildError, match=r"inputs|input 0 is uint8"):
            simulate(data, given)
    assert dense((2, 3)) == (3, 1)


def test_an_output_that_nothing_wrote() -> None:
    with pytest.raises(ModelbuildError, match="reads output 0"):
        simulate(one(Code(), [], [(U8, (2,))]), [])
    assert simulate(one(Code(), [], [(U8, (2,))]), [], strict=False).outputs[0].tolist() == [0, 0]
