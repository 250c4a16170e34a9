"""Code of the stack machine from symbolic instructions, and back."""

from __future__ import annotations

import re
import struct
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelbuild.errors import ModelbuildError
from modelbuild.formats.kmodel import stackvm_assembly, stackvm_building, stackvm_isa
from modelbuild.formats.kmodel.model import Span
from modelbuild.formats.kmodel.stackvm_assembly import Label, Line, Statement, assemble, disassemble, op
from modelbuild.formats.kmodel.stackvm_building import Argument, Builder, Place, row_major
from modelbuild.formats.kmodel.stackvm_isa import CODES, OPCODES, Isa, Operand
from modelbuild.formats.kmodel.stackvm_machine import Machine
from modelbuild.formats.kmodel.stackvm_values import Attempt, Code
from tests.formats import kmodel_sources as sources
from tests.hypotheses import examples

NEWEST = stackvm_isa.tables()[0]
RANGES = {
    "B": (0, 255),
    "H": (0, 65535),
    "I": (0, (1 << 32) - 1),
    "i": (-(1 << 31), (1 << 31) - 1),
    "q": (-(1 << 63), (1 << 63) - 1),
}
FORMS = {form.name: form.operands for form in stackvm_assembly._forms(NEWEST)}
PLAIN = {
    name: operands for name, operands in FORMS.items() if all(item.name != "target" for item in operands)
}


def values(operand: Operand, isa: Isa) -> st.SearchStrategy[stackvm_assembly.Value]:
    enum = stackvm_assembly._enum(operand, isa)
    if operand.kind == "bool":
        return st.booleans()
    if enum is not None:
        return st.sampled_from(list(enum.values()))
    if operand.kind == "f32":
        return st.floats(width=32, allow_nan=False)
    low, high = RANGES[CODES[operand.kind]]
    return st.sampled_from([low, high]) | st.integers(low, high)


def statements(name: str, isa: Isa = NEWEST) -> st.SearchStrategy[Statement]:
    operands = {item.name: values(item, isa) for item in FORMS[name]}
    return st.fixed_dictionaries(operands).map(lambda found: Statement(name, found))


def test_every_instruction_and_every_function_with_known_operands_is_there() -> None:
    assert len(OPCODES) == 94 and len(NEWEST.names) == 44
    assert {name for name in FORMS if not name.startswith("tensor.")} == {item.name for item in OPCODES}
    functions = {name.removeprefix("tensor.") for name in FORMS if name.startswith("tensor.")}
    # The runtime has none of these, and their operands are not published.
    assert set(NEWEST.names) - functions == {"clamp", "conv2d_transpose", "logistic", "take"}


@pytest.mark.parametrize("name", PLAIN)
def test_each_instruction_survives(name: str) -> None:
    @examples(25)
    @given(statements(name))
    def survives(statement: Statement) -> None:
        code = assemble([statement])
        assert disassemble(code) == (statement,)
        start = 3 if name.startswith("tensor.") else 1
        assert len(code) == start + sum(struct.calcsize("<" + CODES[item.kind]) for item in FORMS[name])

    survives()


@st.composite
def programs(draw: st.DrawFn) -> list[Line]:
    """Instructions, and branches to labels that are named in the order of their places."""
    some = st.sampled_from(sorted(PLAIN)).flatmap(statements)
    lines = draw(st.lists(some, min_size=1, max_size=12))
    places = sorted(draw(st.sets(st.integers(0, len(lines) - 1), max_size=3)))
    branches = [
        op(name, args=3, target=f"label{index}") if name == "call" else op(name, target=f"label{index}")
        for index, _ in enumerate(places)
        for name in draw(
            st.lists(st.sampled_from(["br", "br_true", "br_false", "call"]), min_size=1, max_size=2)
        )
    ]
    program: list[Line] = []
    for index, line in enumerate(lines):
        if index in places:
            program.append(Label(f"label{places.index(index)}"))
        program.append(line)
        while branches and draw(st.booleans()):
            program.append(branches.pop(draw(st.integers(0, len(branches) - 1))))
    return program + branches


@given(programs())
def test_any_program_survives(program: list[Line]) -> None:
    assert list(disassemble(assemble(program))) == program


@pytest.mark.parametrize("isa", stackvm_isa.tables(), ids=lambda isa: isa.versions[0])
def test_the_tables_of_other_releases_are_followed(isa: Isa) -> None:
    forms = list(stackvm_assembly._forms(isa))
    number = isa.names.index("quantize")
    operands = {"in_datatype": "float32", "dst_datatype": "uint8"}
    registers = {"rshape_src": 0, "rstride_src": 1, "rstride_dest": 2}
    code = assemble([op("tensor.quantize", **operands, **registers)], isa)
    assert code == struct.pack("<BH5B", 0x5E, number, 9, 4, 0, 1, 2)
    assert [line.name for line in disassemble(code, isa) if isinstance(line, Statement)] == [
        "tensor.quantize"
    ]
    assert len({form.start for form in forms}) == len(forms)


def test_bytes_as_the_facts_have_them() -> None:
    lines = [
        op("lea_buffer", location="data", subres_id=0, offset=1024),
        op("ldc_i4", imm=-3),
        op("ldc_r4", imm=127.5),
        op("stshape", rshape=1, rank=1),
        op("tensor.call", function_id=0, module_id=1, num_src=1, num_dst=1),
    ]
    expected = sources.lea(3, 1024) + sources.integer(-3) + sources.number(127.5) + bytes((0x31, 1, 1))
    assert assemble(lines) == expected + sources.release_call(0, 1)


def test_branches_count_from_the_next_instruction() -> None:
    lines = [
        Label("back"),
        op("nop"),
        op("br", target="back"),
        op("br_true", target="on"),
        op("dup"),
        Label("on"),
    ]
    code = assemble([*lines, op("ret")])
    assert code == bytes((0, 0x56)) + struct.pack("<i", -6) + b"\x57" + struct.pack("<i", 1) + bytes(
        (0x2F, 0x59)
    )
    assert disassemble(code)[0] == Label("label0")
    # Into the middle of an instruction: no label there, and the bytes stay.
    code = assemble([op("br", target=1), op("ldc_i4", imm=0), op("ret")])
    assert disassemble(code)[0] == op("br", target=1) and assemble(disassemble(code)) == code


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ([op("lea_bufer")], "there is no instruction lea_bufer in 1.9.0\n.*did you mean `lea_buffer`"),
        ([op("tensor.clamp")], r"there is no instruction tensor\.clamp"),
        ([op("ldc_i4")], "ldc_i4 needs the operand imm"),
        ([op("ldc_i4", im=3)], "ldc_i4 has no operand im\n.*did you mean `imm`"),
        ([op("ldc_i4", imm=1 << 31)], "ldc_i4, imm does not hold 2147483648"),
        ([op("ldc_i4", imm=1.5)], r"ldc_i4, imm does not hold 1\.5"),
        ([op("ldc_i4", imm=True)], "ldc_i4, imm does not hold True"),
        ([op("ldc_i4", imm="3")], "ldc_i4, imm does not hold '3'"),
        ([op("ldc_r4", imm=1e39)], "ldc_r4, imm does not hold 1e"),
        ([op("stshape", rshape=256, rank=0)], "stshape, rshape does not hold 256"),
        ([op("stshape", rshape=-1, rank=0)], "stshape, rshape does not hold -1"),
        ([op("lea_buffer", location="ram", subres_id=0, offset=0)], "location is 'ram', which is none"),
        ([op("lea_buffer", location=3, subres_id=0, offset=0)], "location does not hold 3"),
        ([Label("a"), op("nop"), Label("a")], "label a is there twice"),
        ([op("br", target="a")], "there is no label a"),
        ([op("br", target="a"), Label("a")], "target lies outside of the code\n.*`ret` leaves"),
        ([op("br", target=-6), op("ret")], "target lies outside of the code"),
        ([op("br", target=0.5), op("ret")], r"target does not hold 0\.5"),
    ],
)
def test_what_is_not_assembled(lines: list[Line], why: str) -> None:
    with pytest.raises(ModelbuildError) as refused:
        assemble(lines)
    assert re.search(why, str(refused.value), re.DOTALL)


@pytest.mark.parametrize(
    ("code", "why"),
    [
        (b"\x00\x5f", "no instruction 0x5f"),
        (b"\x5e\x05", "no instruction 0x5e05"),
        (b"\x5e\x05\x00", "no instruction 0x5e0500"),
        (b"\x5e\x2c\x00", "no instruction 0x5e2c00"),
        (b"\x02\x00\x00", "ldc_i4 ends after the code"),
        (b"\x17\x09\x00" + bytes(4), "lea_buffer has location 9, which is none"),
    ],
)
def test_what_is_no_code(code: bytes, why: str) -> None:
    with pytest.raises(ModelbuildError, match=why):
        disassemble(code)


def followed(code: bytes) -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    """The code as the disassembly follows it, with stack and registers."""
    machine = Machine(
        code, Code(Span(0, len(code)), dict.fromkeys(range(5), 1 << 20), (1, 1)), NEWEST, Attempt(NEWEST, [])
    )
    machine.run()
    return [(line.name, dict(line.operands), dict(line.stack)) for line in machine.lines]


SHAPE, STRIDES = (1, 3, 4, 5), (60, 20, 5, 1)
PAD = {"rshape_src": SHAPE, "rstride_src": STRIDES, "rstride_dest": (60, 20, 5, 1), "pad_mode": "constant"}


def pad(builder: Builder, datatype: str, value: float) -> None:
    paddings = ((0, 0, 0), (0, 0, 0), (1, 2, 0), (0, 3, 0))
    builder.tensor(
        "pad",
        datatype=datatype,
        rpaddings=paddings,
        pad_value=value,
        input=Place("input", 0),
        output=Place("data", 8),
        **PAD,
    )


def test_a_tensor_function_gets_what_it_takes() -> None:
    builder = Builder()
    pad(builder, "uint8", 7)
    name, operands, stack = followed(builder.code())[-1]
    assert name == "tensor.pad" and (operands["datatype"], operands["pad_mode"]) == ("uint8", "constant")
    held = {name: operands[name].value for name in ("rshape_src", "rstride_src", "rpaddings")}
    assert held == {
        "rshape_src": SHAPE,
        "rstride_src": STRIDES,
        "rpaddings": (0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 3, 0),
    }
    assert (stack["input"].location, stack["output"].offset, stack["pad_value"]) == (0, 8, 7)


def test_windows_take_paddings_from_the_stack() -> None:
    builder = Builder()
    window = {"filter_h": 2, "filter_w": 2, "stride_h": 2, "stride_w": 2, "dilation_h": 1, "dilation_w": 1}
    builder.tensor(
        "reduce_window2d", datatype="float32", reduce_op="max", rshape_src=SHAPE, rstride_src=STRIDES,
        rstride_dest=STRIDES, **window, fused_clamp_low=-1, fused_clamp_high=1,
        input=Place("input", 0), init_value=-9, output=Place("output", 0),
        padding_h=(0, 1, 0), padding_w=(2, 0, 0),
    )  # fmt: skip
    _, operands, stack = followed(builder.code())[-1]
    assert (stack["padding_h"], stack["padding_w"], stack["init_value"]) == ((0, 1, 0), (2, 0, 0), -9.0)
    assert isinstance(stack["init_value"], float) and operands["reduce_op"] == "max"


@pytest.mark.parametrize(
    ("datatype", "value", "kind"), [("uint8", 3, "ldc_i4"), ("int32", -3, "ldc_i4"), ("float32", 3, "ldc_r4")]
)
def test_constants_are_pushed_as_the_runtime_takes_them(datatype: str, value: int, kind: str) -> None:
    builder = Builder()
    pad(builder, datatype, value)
    assert builder.lines[2] == op(kind, imm=value)
    with pytest.raises(ModelbuildError, match="the runtime takes no value of int64"):
        pad(builder, "int64", 3)
    pad(builder, "uint8", 0.5)
    with pytest.raises(ModelbuildError, match=r"imm does not hold 0\.5"):
        builder.code()


def test_registers_are_stored_once_while_the_code_runs_straight_on() -> None:
    builder = Builder()
    pad(builder, "uint8", 7)
    size = len(builder.code())
    pad(builder, "uint8", 7)
    # Two addresses, a constant, and the function.
    assert len(builder.code()) - size == 7 + 7 + 5 + 9
    builder.label("here")
    pad(builder, "uint8", 7)
    assert len(builder.code()) - size == 28 + size


@pytest.mark.parametrize(("module", "stored"), [(0, 2), (1, 0)])
def test_a_call_into_the_own_module_loses_registers(module: int, stored: int) -> None:
    builder = Builder(0)
    tensor = Argument(Place("data", 0), "uint8", SHAPE)
    builder.call(module, 0, [tensor], [tensor])
    before = len(builder.lines)
    builder.call(module, 0, [tensor], [tensor])
    names = [line.name for line in builder.lines[before:]]
    assert names.count("stshape") == stored
    name, operands, stack = followed(builder.code())[-1]
    assert (name, operands["module_id"], operands["num_src"], operands["num_dst"]) == (
        "tensor.call",
        module,
        1,
        1,
    )
    assert (stack["input0_type"], stack["output0_strides"].value) == ("uint8", STRIDES)


def test_the_register_unused_longest_is_stored_again() -> None:
    builder = Builder()
    assert [builder.shape((size,)) for size in range(256)] == list(range(256))
    assert builder.shape((0,)) == 0  # used again
    assert builder.shape((256,)) == 1
    assert builder.shape((0,)) == 0
    assert builder.shape((1,)) == 2
    assert builder.paddings([(1, 2, 3)]) == 0
    assert builder.lines[-1] == op("stpaddings", rpaddings=0, rank=1)


def test_0_and_1_take_a_byte() -> None:
    builder = Builder()
    for value in (0, 1, 2, -1):
        builder.integer(value)
    builder.number(1)
    assert builder.code() == bytes((3, 4)) + sources.integer(2) + sources.integer(-1) + sources.number(1)


def test_strides() -> None:
    assert row_major((2, 3, 1, 5)) == (15, 5, 5, 1)
    assert row_major((7,)) == (1,) and row_major(()) == ()


QUANTIZE = {
    "in_datatype": "float32", "dst_datatype": "uint8", "rshape_src": SHAPE, "rstride_src": STRIDES,
    "rstride_dest": STRIDES, "input": Place("input", 0), "output": Place("data", 0), "scale": 2, "bias": 3,
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "changes", "why"),
    [
        ("quantise", {}, "there is no tensor function quantise"),
        ("quantize", {"zero": 3}, "quantize has no argument zero"),
        ("quantize", {"bias": None}, "quantize, bias does not hold None"),
        ("quantize", {"input": 3}, "quantize, input does not hold 3"),
        ("quantize", {"scale": Place("data", 0)}, "quantize, scale does not hold Place"),
        ("quantize", {"rshape_src": 0}, "quantize, rshape_src does not hold 0"),
        ("quantize", {"in_datatype": (1, 2)}, "quantize, in_datatype does not hold"),
    ],
)
def test_calls_that_are_not_made(name: str, changes: dict[str, object], why: str) -> None:
    with pytest.raises(ModelbuildError, match=why):
        Builder().tensor(name, **{**QUANTIZE, **changes})  # type: ignore[arg-type]


def test_arguments_that_are_missing_or_too_many() -> None:
    builder = Builder()
    with pytest.raises(ModelbuildError, match="quantize needs the argument scale"):
        builder.tensor("quantize", **{name: value for name, value in QUANTIZE.items() if name != "scale"})  # type: ignore[arg-type]
    with pytest.raises(ModelbuildError, match="a padding has 3 numbers, not 2"):
        builder.paddings([(1, 2)])  # type: ignore[list-item]
    tensor = Argument(Place("data", 0), "uint8", SHAPE)
    with pytest.raises(ModelbuildError, match="a call has 129 arguments; there is room for 128"):
        builder.call(0, 0, [tensor] * 128, [tensor])
    with pytest.raises(ModelbuildError, match="type of an argument is 'u8'"):
        builder.call(0, 0, [replace(tensor, datatype="u8")], [])
    assert stackvm_building.REGISTERS == 256
