"""Whole programs there and back; headers, descriptors and sections that are not as they should be."""

from __future__ import annotations

import json
import struct
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.errors import ModelbuildError
from modelbuild.npu.compiler import CompiledModel, compile_model
from modelbuild.npu.program import decode, decode_header, decode_host, encode, encode_host, interface
from tests.hypotheses import examples
from tests.npu.sealing import HEADER_SIZE, border, seal
from tests.npu.strategies import grown, grown_models, network, recipe


@pytest.fixture(scope="module")
def program() -> CompiledModel:
    return compile_model(network(0), recipe(), {})


@examples(30)
@given(grown_models())
def test_programs_survive_there_and_back(model: FixedModel) -> None:
    compiled = compile_model(model, recipe(), {})
    decoded = decode(compiled.command)
    assert encode(decoded) == compiled.command
    assert encode_host(decode_host(compiled.host)) == compiled.host
    assert decoded.interface == interface(compiled.command)
    assert decoded.weights_size == len(compiled.weights)


def test_the_interface_says_what_goes_in_and_out(program: CompiledModel) -> None:
    found = interface(program.command)
    (x,), (y,) = found.inputs, found.outputs
    assert (x.name, x.shape, x.bits, x.signed, x.scale, x.zero_point) == (
        "input",
        (1, 3, 12, 12),
        8,
        True,
        0.05,
        0,
    )
    assert (x.address, x.size) == (0, 432)
    assert (y.name, y.shape, y.address, y.size) == ("t6", (1, 10), 432, 10)
    assert [layer.kind for layer in found.layers] == ["conv"] * 3 + ["add", "conv", "reshape", "gemm"]
    assert (found.arithmetic, found.chip, found.name) == ("multiplier_shift@1", "test", "grown")


def test_the_header_follows_its_description(program: CompiledModel) -> None:
    command = program.command
    assert command[:6] == b"MBNP\3\0"
    descriptor, instructions, weights, host, dram, sram = struct.unpack_from("<6I", command, 6)
    assert HEADER_SIZE + descriptor + instructions == len(command) == decode_header(command).command_size
    assert (weights, host) == (len(program.weights), len(program.host))
    assert dram == program.memory.input + program.memory.output + program.memory.working
    assert sram == program.memory.sram_peak
    assert struct.unpack_from("<I", command, 38)[0] == zlib.crc32(program.weights)
    assert seal(command, program.weights, program.host) == command


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda data: data[:40], "too few"),
        (lambda data: b"NEF!" + data[4:], "does not begin with MBNP"),
        (lambda data: data[:4] + b"\2" + data[5:], "version 2"),
        (lambda data: data[:-1], "but the header says"),
        (lambda data: data + b"\0", "but the header says"),
        (lambda data: data[:50] + b"\xff" + data[51:], "header's CRC-32"),
        (lambda data: data[:120] + b"\xff" + data[121:], "I/O descriptor"),
        (lambda data: data[:-2] + b"\xff" + data[-1:], "instructions"),
    ],
)
def test_damaged_commands(program: CompiledModel, change: Any, text: str) -> None:
    with pytest.raises(ModelbuildError) as caught:
        decode(change(program.command))
    assert text in str(caught.value) and caught.value.exit_code == 2


def with_header(command: bytes, offset: int, value: int) -> bytes:
    changed = bytearray(command)
    struct.pack_into("<I", changed, offset, value)
    struct.pack_into("<I", changed, 105, zlib.crc32(changed[:105]))
    return bytes(changed)


def test_headers_that_ask_for_too_much(program: CompiledModel) -> None:
    for offset in (22, 26):
        with pytest.raises(ModelbuildError, match="asks for more than"):
            decode(with_header(program.command, offset, (1 << 30) + 1))
    with pytest.raises(ModelbuildError, match="macs is 0"):
        decode(with_header(program.command, 46, 0))


def with_descriptor(command: bytes, text: bytes) -> bytes:
    changed = bytearray(command[:HEADER_SIZE] + text + command[border(command) :])
    struct.pack_into("<I", changed, 6, len(text))
    return seal(bytes(changed), b"", b"")


def edited(command: bytes, path: list[Any], value: Any) -> bytes:
    data = json.loads(command[HEADER_SIZE : border(command)])
    place = data
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    text = json.dumps(data, sort_keys=True, separators=(",", ":"))
    return with_descriptor(command, text.encode())


@pytest.mark.parametrize(
    ("path", "value", "text"),
    [
        (["extra"], 1, "exactly the keys"),
        (["name"], 1, "must be of type str"),
        (["metadata"], {"labels": 1}, "metadata must be text"),
        (["inputs", 0, "shape"], [1, 3, 12, 13], "does not follow from its shape"),
        (["inputs", 0, "shape"], [0], "shape of tensor"),
        (["inputs", 0, "shape"], [1] * 9, "shape of tensor"),
        (["inputs", 0, "bits"], 17, "bits or zero_point"),
        (["inputs", 0, "bits"], True, "must be of type int"),
        (["inputs", 0, "zero_point"], 128, "bits or zero_point"),
        (["inputs", 0, "scale"], 0.0, "scale of tensor"),
        (["inputs", 0, "scale"], 1, "must be of type float"),
        (["inputs", 0, "address"], -1, "does not lie in DRAM"),
        (["inputs", 0, "address"], 1 << 40, "does not lie in DRAM"),
        (["layers", 0, "unit"], "gpu", "neither npu nor cpu"),
        (["layers", 0], 3, "exactly the keys"),
    ],
)
def test_descriptors_that_make_no_sense(
    program: CompiledModel, path: list[Any], value: Any, text: str
) -> None:
    with pytest.raises(ModelbuildError) as caught:
        interface(edited(program.command, path, value))
    assert text in str(caught.value)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"{", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"1" * 5000, "not JSON"),
        (b"[ ]", "canonical"),
        (b"[]", "exactly the keys"),
        (b'{"a":NaN}', "exactly the keys"),
    ],
)
def test_descriptors_that_are_none(program: CompiledModel, data: bytes, text: str) -> None:
    with pytest.raises(ModelbuildError, match=text):
        interface(with_descriptor(program.command, data))


@pytest.fixture(scope="module")
def host() -> bytes:
    return next(
        section
        for section in (compile_model(grown(seed), recipe(), {}).host for seed in range(100))
        if len(section) > 100
    )


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda data: data[:8], "cut off"),
        (lambda data: b"X" + data[1:], "does not begin with MBNH"),
        (lambda data: data[:6] + b"\0\0" + data[8:], "0 segments"),
        (lambda data: data[:8] + b"\xff\xff\xff\xff" + data[12:], "bytes of workspace"),
        (lambda data: data + b"\0", "bytes of constants"),
    ],
)
def test_damaged_host_sections(host: bytes, change: Any, text: str) -> None:
    with pytest.raises(ModelbuildError, match=text):
        decode_host(change(host))


@given(st.binary(max_size=120))
def test_any_bytes_are_an_error(data: bytes) -> None:
    with pytest.raises(ModelbuildError):
        decode(data)
    with pytest.raises(ModelbuildError):
        decode_host(b"MBNH\2\0" + data)
