"""Programs written by hand: what instructions do, and what no program may do."""

from __future__ import annotations

import numpy as np
import pytest

from modelbuild.errors import ModelbuildError
from modelbuild.npu.program import HostProgram, Instruction
from modelbuild.npu.program.transfers import End, Layer, Load, Loop, Store, Yield
from modelbuild.npu.simulator import simulate
from tests.npu.constant_loads import raw_constants
from tests.npu.simulator.hand_written import (
    COPY,
    DOUBLE,
    SCALE,
    TILE,
    TIMES_TWO,
    X,
    tiny,
)


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
    "beyond the weights": ((Layer(0), raw_constants(0, 0, 16)), "of the weights"),
    "unwritten DRAM": ((Layer(0), Load(16, 0, 16)), "of DRAM that were never written"),
    "unwritten SRAM": ((Layer(0), Store(16, 0, 16)), "of SRAM that were never written"),
    "part of the output": ((Layer(0), Load(0, 0, 16), Store(16, 0, 15), Store(40, 15, 1)), "tensor y"),
    "overlapping loads": ((Layer(0), Load(0, 0, 16), Load(0, 8, 16)), "written over before"),
    "useless load": ((*COPY, Load(0, 32, 16)), "but nothing reads them"),
    "overlapping stores": ((*COPY, Store(16, 0, 1)), "writes bytes of DRAM twice"),
    "storing over what was read": ((*COPY, Store(0, 0, 16)), "writes bytes of DRAM that it has read"),
    "storing over the end of it": (
        (Layer(0), Load(0, 0, 16), Store(15, 0, 16)),
        "writes bytes of DRAM that it has read",
    ),
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
