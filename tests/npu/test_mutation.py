"""A changed byte of a program is noticed: by its checksum, by the simulator, or in a layer's output."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from modelbuild.errors import ModelbuildError
from modelbuild.npu.compiler import CompiledModel, compile_model
from modelbuild.npu.simulator import Simulation, simulate
from tests.npu.sealing import border, seal
from tests.npu.strategies import network, random_inputs, recipe

Case = tuple[CompiledModel, dict[str, np.ndarray], Simulation]
COUNTS = pytest.mark.parametrize("count", [300, pytest.param(1000, marks=pytest.mark.long)])


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    """Programs of seven layers, whole and cut into small tiles."""
    found = []
    for seed in range(8):
        model = network(seed)
        inputs = random_inputs(model, seed)
        program = compile_model(model, recipe(), {"sram_bytes": 1 << 20 if seed % 2 else 2048})
        found.append((program, inputs, simulate(*_sections(program), inputs, keep_layers=True)))
    return found


def _sections(program: CompiledModel) -> tuple[bytes, bytes, bytes]:
    return program.command, program.weights, program.host


def _changed(data: bytes, position: int, rng: np.random.Generator) -> bytes:
    changed = bytearray(data)
    changed[position] ^= int(rng.integers(1, 256))
    return bytes(changed)


def _outcome(case: Case, command: bytes, weights: bytes) -> str:
    program, inputs, expected = case
    try:
        found = simulate(command, weights, program.host, inputs, keep_layers=True)
    except ModelbuildError:
        return "error"
    pairs = [(found.layers, expected.layers), (found.outputs, expected.outputs)]
    same = all(np.array_equal(now[name], then[name]) for now, then in pairs for name in then)
    return "same" if same else "other"


def _draw(cases: list[Case], rng: np.random.Generator) -> Case:
    return cases[int(rng.integers(len(cases)))]


@COUNTS
def test_as_packaged(cases: list[Case], count: int) -> None:
    rng = np.random.default_rng(1)
    outcomes: Counter[str] = Counter()
    for _ in range(count):
        case = _draw(cases, rng)
        program = case[0]
        start = border(program.command)
        position = int(rng.integers(start, len(program.command) + len(program.weights)))
        if position < len(program.command):
            command, weights = _changed(program.command, position, rng), program.weights
        else:
            command, weights = (
                program.command,
                _changed(program.weights, position - len(program.command), rng),
            )
        outcomes[_outcome(case, command, weights)] += 1
    assert outcomes == {"error": count}


@COUNTS
def test_instructions_with_checksums_renewed(cases: list[Case], count: int) -> None:
    rng = np.random.default_rng(2)
    outcomes: Counter[str] = Counter()
    for _ in range(count):
        case = _draw(cases, rng)
        program = case[0]
        position = int(rng.integers(border(program.command), len(program.command)))
        command = _changed(program.command, position, rng)
        sealed = seal(command, program.weights, program.host)
        outcomes[_outcome(case, sealed, program.weights)] += 1
    print(f"instruction bytes: {dict(outcomes)}")
    assert outcomes["same"] <= count * 0.05
    assert outcomes["error"] and outcomes["other"]


@COUNTS
def test_weights_with_checksums_renewed(cases: list[Case], count: int) -> None:
    """One input meets a weight once: what rounds away there is not seen, so the bound is lower."""
    rng = np.random.default_rng(3)
    outcomes: Counter[str] = Counter()
    for _ in range(count // 2):
        case = _draw([case for case in cases if case[0].weights], rng)
        program = case[0]
        weights = _changed(program.weights, int(rng.integers(len(program.weights))), rng)
        outcomes[_outcome(case, seal(program.command, weights, program.host), weights)] += 1
    print(f"weight bytes: {dict(outcomes)}")
    assert outcomes["same"] <= count // 2 * 0.4


def test_the_descriptor_and_header_are_sealed_too(cases: list[Case]) -> None:
    program = cases[0][0]
    rng = np.random.default_rng(4)
    for position in range(border(program.command)):
        assert _outcome(cases[0], _changed(program.command, position, rng), program.weights) == "error"
