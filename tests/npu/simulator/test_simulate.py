"""What the simulator refuses, and what it may import."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import modelbuild.npu.simulator
from modelbuild.errors import ModelbuildError
from modelbuild.npu.compiler import CompiledModel, compile_model
from modelbuild.npu.simulator import simulate
from tests.npu.sealing import HEADER_SIZE, seal
from tests.npu.strategies import network, random_inputs, recipe

ROOT = Path(modelbuild.npu.simulator.__file__).parents[3]


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


@pytest.mark.long
def test_ten_thousand_mutants_neither_crash_nor_hang(compiled: CompiledModel) -> None:
    rng = np.random.default_rng(0)
    inputs = random_inputs(network(0), 0)
    for _ in range(10_000):
        command = bytearray(compiled.command)
        for _ in range(int(rng.integers(1, 6))):
            command[int(rng.integers(HEADER_SIZE, len(command)))] = int(rng.integers(256))
        try:
            simulate(
                seal(bytes(command), compiled.weights, compiled.host), compiled.weights, compiled.host, inputs
            )
        except ModelbuildError:
            continue
