"""What the simulator refuses, and what it may import."""

from __future__ import annotations

import ast
import sys
import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import modelbuild.npu.simulator
from modelbuild.errors import ModelbuildError
from modelbuild.npu.compiler import CompiledModel, compile_model
from modelbuild.npu.program import (
    HostProgram,
    Instruction,
    LayerPlace,
    Program,
    ProgramInterface,
    Rates,
    TensorPlace,
    encode,
    encode_host,
)
from modelbuild.npu.program import setups as s
from modelbuild.npu.program import tiles as t
from modelbuild.npu.program.transfers import End, Fill, Layer, Load, LoadConstants, Loop, Store, Yield
from modelbuild.npu.simulator import simulate
from tests.npu.sealing import seal
from tests.npu.strategies import network, random_inputs, recipe

ROOT = Path(modelbuild.npu.simulator.__file__).parents[3]
RATES = Rates(1024, 1024, 1024, 1024, 1024, 1024, 1024, 10)


def _imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module
            found.add(node.module)
    return found


@pytest.mark.parametrize(
    ("room", "also"),
    [("simulator", ("modelbuild.npu.program", "modelbuild.npu.simulator", "numpy")), ("program", ())],
)
def test_the_judge_shares_no_code_with_the_accused(room: str, also: tuple[str, ...]) -> None:
    allowed = ("modelbuild.errors", "modelbuild.npu.program", *also)
    for path in sorted((ROOT / "modelbuild" / "npu" / room).rglob("*.py")):
        for name in _imports(path):
            inside = any(name == door or name.startswith(f"{door}.") for door in allowed)
            assert inside or name.split(".")[0] in sys.stdlib_module_names, f"{path.name} imports {name}"


@pytest.fixture(scope="module")
def compiled() -> CompiledModel:
    return compile_model(network(0), recipe(), {})


def run(program: CompiledModel, inputs: dict[str, Any]) -> Any:
    return simulate(program.command, program.weights, program.host, inputs)


@pytest.mark.parametrize(
    ("inputs", "text"),
    [
        ({}, "the inputs must be input"),
        ({"input": np.zeros((1, 3, 12, 12), np.int8), "x": np.zeros(1, np.int8)}, "the inputs must be input"),
        ({"input": np.zeros((1, 3, 12, 11), np.int8)}, "of shape"),
        ({"input": np.zeros((1, 3, 12, 12), np.float32)}, "integers"),
        ({"input": np.full((1, 3, 12, 12), 128, np.int16)}, "-128..127"),
    ],
)
def test_wrong_inputs(compiled: CompiledModel, inputs: dict[str, Any], text: str) -> None:
    with pytest.raises(ModelbuildError) as caught:
        run(compiled, inputs)
    assert text in str(caught.value) and caught.value.exit_code == 2


def test_sections_that_belong_to_another_program(compiled: CompiledModel) -> None:
    inputs = random_inputs(network(0), 0)
    other = compile_model(network(1), recipe(), {})
    with pytest.raises(ModelbuildError, match="weights section"):
        simulate(compiled.command, other.weights, compiled.host, inputs)
    with pytest.raises(ModelbuildError, match="weights section"):
        simulate(compiled.command, compiled.weights[:-1], compiled.host, inputs)
    with pytest.raises(ModelbuildError, match="host section"):
        simulate(compiled.command, compiled.weights, b"MBNH", inputs)


def test_layers_are_kept_on_demand_only(compiled: CompiledModel) -> None:
    assert run(compiled, random_inputs(network(0), 0)).layers == {}


def test_the_inputs_may_be_of_any_integer_type(compiled: CompiledModel) -> None:
    inputs = random_inputs(network(0), 0)
    wide = {name: values.astype(np.int64) for name, values in inputs.items()}
    assert np.array_equal(run(compiled, wide).outputs["t6"], run(compiled, inputs).outputs["t6"])


def tensor(name: str, address: int, size: int) -> TensorPlace:
    return TensorPlace(name, (size,), 8, True, 1.0, 0, address, size)


def tiny(
    instructions: Sequence[Instruction],
    weights: bytes = b"",
    host: HostProgram | None = None,
    layers: int = 1,
    **changes: Any,
) -> tuple[bytes, bytes, bytes]:
    """A program of 16 bytes in and 16 bytes out, with 64 bytes of SRAM."""
    x, y = tensor("x", 0, 16), tensor("y", 16, 16)
    places = tuple(LayerPlace(f"l{index}", "rescale", "npu", (y,)) for index in range(layers))
    section = encode_host(host) if host else b""
    program = Program(
        interface=ProgramInterface("tiny", "multiplier_shift@1", "test", (x,), (y,), places, {}),
        instructions=(*instructions, End()),
        rates=RATES,
        dram_size=48,
        sram_size=64,
        weights_size=len(weights),
        weights_checksum=zlib.crc32(weights),
        host_size=len(section),
        host_checksum=zlib.crc32(section),
    )
    return encode(replace(program, **changes)), weights, section


X = {"x": np.arange(16, dtype=np.int8)}
COPY = (Layer(0), Load(0, 0, 16), Store(16, 0, 16))
DOUBLE = s.RescaleSetup(1, 1, 0, 0, -128, 127)
TIMES_TWO = bytes.fromhex("02000000" + "00") * 2
TILE = t.Rescale(input=0, parameters=32, output=48, channels=1, count=16)
SCALE = (Layer(0), DOUBLE, LoadConstants(0, 32, 10), Load(0, 0, 16), TILE, Store(16, 48, 16))


def test_a_program_written_by_hand() -> None:
    copied = simulate(*tiny(COPY), X)
    assert copied.outputs["y"].tolist() == list(range(16))
    assert copied.cycles == 10 + 16 + 16
    scaled = simulate(*tiny(SCALE, TIMES_TWO), X, keep_layers=True)
    assert scaled.outputs["y"].tolist() == scaled.layers["y"].tolist() == list(range(0, 32, 2))
    assert scaled.cycles == 10 + 16 + 16 + 16  # the constants come beside the input


def test_transposing_by_strides() -> None:
    turned = (Layer(0), Load(0, 0, 1, (Loop(4, 1, 4), Loop(4, 4, 1))), Store(16, 0, 16))
    found = simulate(*tiny(turned), X).outputs["y"]
    assert found.tolist() == np.arange(16).reshape(4, 4).T.reshape(-1).tolist()


def test_a_segment_of_the_host() -> None:
    segment = (Layer(0), Load(0, 0, 16), Store(16, 0, 16), End())
    found = simulate(*tiny((Yield(0),), host=HostProgram(16, (segment,), b"")), X, keep_layers=True)
    assert found.layers["y"].tolist() == list(range(16))
    assert found.cycles == 0


BAD: dict[str, tuple[tuple[Instruction, ...], str]] = {
    "beyond DRAM": ((Layer(0), Load(40, 0, 16)), "of DRAM, which has 48"),
    "beyond SRAM": ((Layer(0), Load(0, 49, 16)), "of SRAM, which has 64"),
    "beyond by strides": ((Layer(0), Load(0, 0, 1, (Loop(3, 20, 1),)), Store(16, 0, 3)), "of DRAM"),
    "beyond the weights": ((Layer(0), LoadConstants(0, 0, 16)), "of the weights"),
    "unwritten DRAM": ((Layer(0), Load(16, 0, 16)), "of DRAM that were never written"),
    "unwritten SRAM": ((Layer(0), Store(16, 0, 16)), "of SRAM that were never written"),
    "part of the output": ((Layer(0), Load(0, 0, 16), Store(16, 0, 15), Store(40, 15, 1)), "tensor y"),
    "overlapping loads": ((Layer(0), Load(0, 0, 16), Load(0, 8, 16)), "written over before"),
    "useless load": ((*COPY, Load(0, 32, 16)), "but nothing reads them"),
    "overlapping stores": ((*COPY, Store(16, 0, 1)), "writes bytes of DRAM twice"),
    "reading what the layer writes": ((*COPY, Load(16, 32, 16)), "that it writes itself"),
    "layer out of order": ((*COPY, Layer(0)), "layer 0 stands after layer 0"),
    "unknown layer": ((Layer(1),), "layer 1 stands after"),
    "unknown segment": ((*COPY, Yield(0)), "host segment 0"),
    "no setup": ((Layer(0), TILE), "Rescale without its setup"),
    "unwritten operand": ((Layer(0), DOUBLE, TILE), "never written"),
}


@pytest.mark.parametrize("name", sorted(BAD))
def test_programs_that_do_what_none_may(name: str) -> None:
    instructions, text = BAD[name]
    with pytest.raises(ModelbuildError) as caught:
        simulate(*tiny(instructions), X)
    assert text in str(caught.value)
    assert caught.value.exit_code == (2 if name == "no setup" else 1)


def test_a_setup_ends_with_its_layer() -> None:
    again = (*SCALE, Layer(1), Load(0, 0, 16), TILE)
    with pytest.raises(ModelbuildError, match="setup"):
        simulate(*tiny(again, TIMES_TWO, layers=2), X)


def test_a_segment_that_never_runs_or_nests() -> None:
    segment = (Layer(0), Load(0, 0, 16), Store(16, 0, 16), End())
    with pytest.raises(ModelbuildError, match="never runs"):
        simulate(*tiny(COPY, host=HostProgram(16, (segment,), b"")), X)
    with pytest.raises(ModelbuildError, match="yields to another"):
        simulate(*tiny((Yield(0),), host=HostProgram(16, ((Yield(0), End()),), b"")), X)


@pytest.mark.parametrize(
    ("record", "text"),
    [
        ("02000000" + "3f", "out of range"),
        ("00000080" + "00", "out of range"),
    ],
)
def test_multipliers_and_shifts_out_of_range(record: str, text: str) -> None:
    with pytest.raises(ModelbuildError, match=text) as caught:
        simulate(*tiny(SCALE, bytes.fromhex(record) * 2), X)
    assert "instruction 4 (Rescale)" in str(caught.value)


CONVOLUTION = s.ConvolutionSetup(1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 4, 4, 1, 0, 0, -128, 127)


def test_an_accumulator_that_may_overflow() -> None:
    weights = b"\x7f" + (2**31 - 1).to_bytes(4, "little") + b"\1\0\0\0\0"
    tile = t.Convolution(0, 32, 48, 1, 1, 4, 4, 0)
    program = (Layer(0), CONVOLUTION, LoadConstants(0, 32, 10), Load(0, 0, 16), tile, Store(16, 48, 16))
    with pytest.raises(ModelbuildError, match="accumulator of 32 bits"):
        simulate(*tiny(program, weights), X)


HOSTILE: dict[str, tuple[Instruction, ...]] = {
    "huge output": (CONVOLUTION, t.Convolution(0, 32, 48, 1, 1, 4, 2**31 - 1, 0)),
    "huge window": (
        replace(CONVOLUTION, kernel_height=65535, kernel_width=65535),
        t.Convolution(0, 32, 48, 1, 1, 4, 4, 0),
    ),
    "huge product": (
        s.MatmulSetup(1, 1, 1, 2**31 - 1, 0, 0, 0, 0, 0),
        t.Matmul(0, 0, 0, 0, 2**31 - 1, 2**31 - 1),
    ),
    "huge fill": (Fill(1, 0, 0, 2**31 - 1),),
    "huge pool": (
        s.MaxPoolSetup(1, 65535, 65535, 65535, 65535, 1, 1, 65535, 4, 4, 0, 0),
        t.MaxPool(0, 32, 1, 4, 2**31 - 1, 2**31 - 1),
    ),
}


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_hostile_sizes_are_refused_before_memory_is_taken(name: str) -> None:
    program = (Layer(0), Load(0, 0, 16), *HOSTILE[name])
    with pytest.raises(ModelbuildError):
        simulate(*tiny(program), X)


def test_huge_windows_on_little_data_end_soon() -> None:
    """65,535 taps a way, of which sixteen see anything."""
    setup = s.MaxPoolSetup(1, 65535, 65535, 1, 1, 1, 1, 65534, 4, 4, -128, 127)
    program = (Layer(0), setup, Load(0, 0, 16), t.MaxPool(0, 32, 1, 4, 4, 65534), Store(16, 32, 16))
    found = simulate(*tiny(program), X).outputs["y"].reshape(4, 4)
    assert np.array_equal(
        found, np.maximum.accumulate(np.maximum.accumulate(np.arange(16).reshape(4, 4), 0), 1)
    )


def test_an_arithmetic_of_a_later_time() -> None:
    interface = ProgramInterface("tiny", "multiplier_shift@2", "test", (), (), (), {})
    command, weights, host = tiny((), interface=interface)
    with pytest.raises(ModelbuildError, match="multiplier_shift@2"):
        simulate(command, weights, host, {})


@pytest.mark.long
def test_ten_thousand_mutants_neither_crash_nor_hang(compiled: CompiledModel) -> None:
    rng = np.random.default_rng(0)
    inputs = random_inputs(network(0), 0)
    for _ in range(10_000):
        command = bytearray(compiled.command)
        for _ in range(int(rng.integers(1, 6))):
            command[int(rng.integers(82, len(command)))] = int(rng.integers(256))
        try:
            simulate(
                seal(bytes(command), compiled.weights, compiled.host), compiled.weights, compiled.host, inputs
            )
        except ModelbuildError:
            continue
