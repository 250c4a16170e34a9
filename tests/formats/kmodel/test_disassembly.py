"""Code of version 5: read by the right release's table, followed through stack and registers."""

from __future__ import annotations

import struct
from collections import Counter
from pathlib import Path

import pytest

from modelbuild.formats import kmodel
from modelbuild.formats.kmodel import stackvm, stackvm_isa, stackvm_machine
from modelbuild.formats.kmodel.disassembly import Disassembly, kpu_check
from modelbuild.formats.kmodel.stackvm_machine import MAX_INSTRUCTIONS
from modelbuild.formats.kmodel.stackvm_values import Address, Line, Register
from tests.formats import kmodel_sources as sources
from tests.formats.kmodel_sources import integer, lea, number, store, tensor


def code_of(code: bytes) -> Disassembly:
    return kmodel.disassemble(kmodel.read(sources.version5(code=code)))


def only(code: bytes) -> list[Line]:
    """The lines of the stack machine, which must be read to the end."""
    found = code_of(code).functions[0]
    assert found.unread is None, found.why
    return list(found.lines)


def test_the_small_real_file(shared_data: Path) -> None:
    """Quantize, call the K210, dequantize; there upload, two layers, download."""
    data = (shared_data / "artifacts/kmodel/v5_small_k210.kmodel").read_bytes()
    found = kmodel.disassemble(kmodel.read(data))
    assert found.clean == ("1.9.0", "1.9.0-beta1", "1.8.0", "1.7.2", "1.7.1", "1.7.0", "1.6.0")
    assert found.shown == ("1.9.0",)
    assert all(table.agrees for table in found.tables if table.clean)
    stack, kpu = found.functions
    tensors = [line.name for line in stack.lines if line.name.startswith("tensor.")]
    assert tensors == ["tensor.quantize", "tensor.call", "tensor.dequantize"]
    assert (stack.unread, kpu.unread) == (None, None)
    names = [operation.name for operation in kpu.operations]
    assert names == ["kpu_upload", "kpu_conv2d", "kpu_conv2d", "kpu_download"]
    assert [operation.problems for operation in kpu.operations] == [()] * 4
    call = dict(stack.lines[[line.name for line in stack.lines].index("tensor.call")].stack)
    assert call["input0_type"] == "uint8"
    assert call["output0_shape"] == Register(2, (1, 4, 16, 16))


def test_the_real_file_of_the_cpu(shared_data: Path) -> None:
    data = (shared_data / "artifacts/kmodel/v5_mnist_cpu.kmodel").read_bytes()
    found = kmodel.disassemble(kmodel.read(data))
    assert "1.9.0" in found.clean and "1.5.0" not in found.clean
    names = Counter(line.name for line in found.functions[0].lines if line.name.startswith("tensor."))
    assert names["tensor.conv2d"] > 1 and names["tensor.matmul"] + names["tensor.conv2d"] > 2


# The number of QUANTIZE and DEQUANTIZE in each release, as its published header has them.
NUMBERS = {
    "1.9.0": (0x14, 0x0B),
    "1.7.0": (0x14, 0x0B),
    "1.4.0": (0x14, 0x0A),
    "1.3.0": (0x14, 0x0A),
    "1.2.0": (0x13, 0x0A),
    "1.0.0": (0x13, 0x0A),
    "1.0.0-rc1": (0x11, 0x09),
}


@pytest.mark.parametrize("version", NUMBERS)
def test_the_table_is_found_out(version: str) -> None:
    found = kmodel.disassemble(kmodel.read(sources.version5(*NUMBERS[version])))
    same = {other for other, numbers in NUMBERS.items() if numbers == NUMBERS[version]}
    assert same == set(found.clean).intersection(NUMBERS)
    assert found.functions[0].unread is None
    assert [line.name for line in found.functions[0].lines if line.name.startswith("tensor")] == [
        "tensor.quantize",
        "tensor.call",
        "tensor.dequantize",
    ]
    refused = next(table for table in found.tables if not table.clean)
    assert refused.why and refused.offset is not None


def test_the_development_layout_has_tables_of_its_own() -> None:
    found = kmodel.disassemble(kmodel.read(sources.version5_development()))
    assert found.clean == ("development-2021-07-15",)
    assert {version for table in found.tables for version in table.versions} == {
        "development-2021-07-15",
        "development-2021-07-09",
        "development-2021-06-28",
        "development-2021-02-22",
    }
    assert [operation.name for operation in found.functions[1].operations] == [
        "kpu_upload",
        "kpu_conv2d",
        "kpu_download",
    ]


def test_tables_have_as_many_functions_as_the_releases() -> None:
    counts = {version: len(isa.names) for isa in stackvm_isa.tables() for version in isa.versions}
    expected = {"1.0.0": 30, "1.1.0": 34, "1.3.0": 39, "1.5.0": 39, "1.6.0": 39, "1.7.0": 39, "1.8.0": 44}
    assert {version: counts[version] for version in expected} == expected
    assert len(stackvm_isa.OPCODES) == stackvm_isa.TENSOR == 0x5E
    newest = stackvm_isa.tables()[0]
    assert [newest.names.index(name) for name in ("conv2d", "quantize", "unary", "gather_elements")] == [
        6,
        0x14,
        0x26,
        0x2B,
    ]


def test_releases_that_disagree_are_told() -> None:
    """Unary function 12 is a square root in 1.0.0, and a sine from 1.1 on."""
    code = store(0, (4,)) + lea(0, 0) + lea(1, 0) + tensor(0x21, bytes((9, 0, 0, 0, 12)))
    found = code_of(code)
    assert "1.1.0" in found.clean
    assert dict(found.functions[0].lines[-1].operands)["unary_op"] == "sin"
    code = store(0, (4,)) + lea(0, 0) + lea(1, 0) + tensor(0x1A, bytes((9, 0, 0, 0, 12)))
    found = code_of(code)
    tables = {version: table for table in found.tables for version in table.versions}
    assert tables["1.0.0-rc1"].clean and tables["1.0.0-beta1"].clean
    assert tables["1.0.0-rc1"].agrees and not tables["1.0.0-beta1"].agrees
    assert dict(found.functions[0].lines[-1].operands)["unary_op"] == "sqrt"


def test_paddings_have_two_numbers_or_three() -> None:
    pad = bytes((9, 0, 0, 0, 0, 0))
    places = lea(0, 0) + lea(1, 0) + number(0)
    three = (
        store(0, (4,)) + b"".join(map(integer, (1, 2, 0))) + bytes((0x32, 0, 1)) + places + tensor(0x13, pad)
    )
    found = code_of(three)
    assert "1.9.0" in found.clean and "1.0.0" not in found.clean
    line = found.functions[0].lines[-1]
    assert dict(line.operands)["rpaddings"] == Register(0, (1, 2, 0))
    two = store(0, (4,)) + b"".join(map(integer, (1, 2))) + bytes((0x32, 0, 1)) + places + tensor(0x12, pad)
    assert code_of(two).clean == ("1.0.0",)


def test_plain_instructions() -> None:
    lines = only(
        bytes((0, 3, 4, 0x34, 0x30))  # nop, 0, 1, add, pop
        + bytes((1, 0x2F, 0x30, 0x30))  # null, dup, pop, pop
        + lea(3, 4096)
        + bytes((0x30,))
    )
    assert [line.name for line in lines] == [
        "nop",
        "ldc_i4_0",
        "ldc_i4_1",
        "add",
        "pop",
        "ldnull",
        "dup",
        "pop",
        "pop",
        "lea_buffer",
        "pop",
    ]
    assert lines[-2].operands == (("address", Address(3, 0, 4096)),)
    assert lines[-1].stack == (("value", Address(3, 0, 4096)),)


def test_branches_end_what_is_known() -> None:
    over = struct.pack("<Bi", 0x56, 1) + b"\x30" + b"\x59"
    assert [line.name for line in only(over)] == ["br", "pop", "ret"]
    for code, why in (
        (struct.pack("<Bi", 0x56, 2) + integer(1) + b"\x30", "where no instruction begins"),
        (struct.pack("<Bi", 0x56, 99), "outside of the code"),
    ):
        found = code_of(code)
        assert found.clean == () and why in found.tables[0].why


@pytest.mark.parametrize(
    ("code", "why"),
    [
        (b"\xff", "there is no opcode 0xff"),
        (b"\x02\x01", "ldc_i4 ends after the code"),
        (b"\x5e\x00", "a tensor instruction ends after the code"),
        (b"\x5e\x63\x00", "tensor function 99 is none"),
        (b"\x5e\x05\x00", "tensor function 5 has no published operands (clamp)"),
        (b"\x30", "takes a value from the empty stack"),
        (integer(1), "1 values are left on the stack"),
        (lea(64, 0) + b"\x30", "no memory of location 64"),
        (lea(3, 4097) + b"\x30", "an address lies at 4097 of 4096 bytes"),
        (integer(1) + bytes((0x31, 0, 33)), "stshape stores 33 dimensions"),
        (number(1) + bytes((0x31, 0, 1)), "stores something that is no whole number"),
        (lea(0, 0) * 2 + tensor(0x26, bytes((9, 5, 0, 0, 1))), "reads shape register 5, which holds nothing"),
        (store(0, (1,)) + lea(0, 0) * 2 + tensor(0x26, bytes((12, 0, 0, 0, 1))), "has datatype 12"),
        (
            store(0, (1,)) + lea(0, 0) + integer(3) + tensor(0x26, bytes((9, 0, 0, 0, 1))),
            "output is the number 3",
        ),
        (sources.release_call(1, 1), "there is no function 1 of module 1"),
    ],
)
def test_what_no_compiler_would_write(code: bytes, why: str) -> None:
    found = code_of(code)
    newest = found.tables[0]
    assert (newest.versions, newest.clean) == (("1.9.0",), False)
    assert why in newest.why


def test_code_that_no_table_reads_is_shown_as_far_as_it_goes() -> None:
    found = code_of(b"\x00\x00\xff\xff\xff")
    (function, _) = found.functions
    assert found.clean == () and [line.name for line in function.lines] == ["nop", "nop"]
    assert function.unread is not None and function.unread.size == 3
    assert function.unread.offset == function.span.offset + 2
    assert function.why == "there is no opcode 0xff"


@pytest.mark.parametrize("most", [2_500, pytest.param(MAX_INSTRUCTIONS, marks=pytest.mark.long)])
def test_work_is_bounded_however_much_code_there_is(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert stackvm.MAX_WORK >= 4 * MAX_INSTRUCTIONS
    monkeypatch.setattr(stackvm, "MAX_WORK", stackvm.MAX_WORK // MAX_INSTRUCTIONS * most)
    monkeypatch.setattr(stackvm_machine, "MAX_INSTRUCTIONS", most)
    found = code_of(b"\0" * (most + 10))
    assert found.functions[0].unread is not None and found.functions[0].unread.size == 10
    assert "more than" in found.functions[0].why
    assert sum(table.instructions for table in found.tables[:1]) == most
    # A file in which every table reads something else: no more than so many instructions in all.
    tail = b"".join(
        store(0, (1,)) + lea(0, 0) + lea(1, 0) + tensor(number_, bytes((9, 0, 0, 0, 1)))
        for number_ in range(0x1A, 0x27)
    )
    data = b"\0" * (most - 500) + tail
    model = kmodel.read(sources.version5(code=data))
    tables = kmodel.disassemble(model).tables
    assert (
        sum({id(table): table.instructions for table in tables if "not tried" not in table.why}.values()) > 0
    )
    assert any("not tried" in table.why for table in tables)


def test_a_layer_that_the_kpu_cannot_run_is_told() -> None:
    data = bytearray(sources.version5())
    model = kmodel.read(bytes(data))
    assert kpu_check(model).why == ""
    layer = kmodel.disassemble(model).functions[1].operations[1]
    struct.pack_into("<I", data, layer.offset + 28 + 4, 128)  # where the activation begins in .rdata
    changed = kmodel.read(bytes(data))
    problems = kmodel.disassemble(changed).functions[1].operations[1].problems
    assert "its activation table is not aligned to 256 bytes" in problems
    assert kpu_check(changed).why == f"module 1, operation at 0x{layer.offset:x}: {problems[0]}"


def test_other_operations_of_a_k210_are_left_unread() -> None:
    data = bytearray(sources.version5())
    layer = kmodel.disassemble(kmodel.read(bytes(data))).functions[1].operations[1]
    data[layer.offset] = 9
    found = kmodel.disassemble(kmodel.read(bytes(data))).functions[1]
    assert [operation.name for operation in found.operations] == ["kpu_upload"]
    assert found.why == "there is no operation 9"
    assert found.unread is not None and found.unread.offset == layer.offset


def test_closed_instructions_are_named_as_such() -> None:
    found = kmodel.disassemble(kmodel.read(sources.later(7)))
    assert [(item.kind, item.why, item.span.size) for item in found.functions] == [
        ("stackvm", "its code is not decoded", 20),
        ("k230", "its code is not decoded", 54),
    ]
    assert found.tables == ()
    data = sources.version5().replace(b"k210", b"k510")
    closed = kmodel.disassemble(kmodel.read(data)).functions[1]
    assert closed.why == "the instructions of this module are not public"
    assert closed.unread == closed.span
