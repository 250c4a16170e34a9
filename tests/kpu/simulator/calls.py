"""Calls of tensor functions on given values, put together to kmodels of the stack machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tests.kpu.simulator.handmade import INPUT, OUTPUT, Code, Port, one, starts

CODES = {"int8": 0, "int16": 1, "int32": 2, "int64": 3, "uint8": 4, "uint16": 5, "uint32": 6, "uint64": 7}
CODES |= {"float16": 8, "float32": 9}
F32, U8, I8, I32, I64 = 9, 4, 0, 2, 3


@dataclass(frozen=True)
class Case:
    """One call, or several: each has the function, the stack ("i0": the first input, "o0" the first output,
    "o0+8": eight bytes behind, numbers as they are) and the operands. Not `exact`: equal up to 1e-6."""

    name: str
    inputs: tuple[np.ndarray, ...]
    outputs: tuple[Port, ...]
    calls: tuple[tuple[str, tuple[float | str, ...], dict[str, object]], ...]
    exact: bool = True


def case(
    function: str,
    inputs: Sequence[np.ndarray],
    outputs: Sequence[Port],
    stack: Sequence[float | str],
    *,
    exact: bool = True,
    **operands: object,
) -> Case:
    """A case of one call."""
    told = " ".join(str(value) for value in operands.values())
    return Case(
        f"{function} {told}", tuple(inputs), tuple(outputs), ((function, tuple(stack), operands),), exact
    )


def together(cases: Sequence[Case]) -> tuple[bytes, list[np.ndarray]]:
    """One kmodel that makes all the calls, and its inputs."""
    inputs = [value for item in cases for value in item.inputs]
    sources = [(CODES[str(value.dtype)], value.shape) for value in inputs]
    targets = [port for item in cases for port in item.outputs]
    places = {
        "i": [(INPUT, start) for start in starts(sources)],
        "o": [(OUTPUT, start) for start in starts(targets)],
    }
    code = Code()
    for item in cases:
        for function, stack, operands in item.calls:
            code.registers = 0
            code.tensor(function, [_pushed(value, places) for value in stack], **operands)
        places = {"i": places["i"][len(item.inputs) :], "o": places["o"][len(item.outputs) :]}
    return one(code.op("ret"), sources, targets), inputs


def _pushed(value: float | str, places: dict[str, list[tuple[int, int]]]) -> float | tuple[int, int]:
    if not isinstance(value, str):
        return value
    name, _, offset = value.partition("+")
    location, start = places[name[0]][int(name[1:])]
    return location, start + int(offset or 0)


def floats(random: np.random.Generator, *shape: int, low: float = -2, high: float = 2) -> np.ndarray:
    """Uniform float32."""
    return random.uniform(low, high, shape).astype(np.float32)


def wholes(random: np.random.Generator, dtype: str, *shape: int, low: int = 0, high: int = 100) -> np.ndarray:
    """Uniform whole numbers."""
    return random.integers(low, high, shape, dtype if high > 1 << 62 else np.int64).astype(dtype)
