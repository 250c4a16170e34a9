"""Programs as text."""

from __future__ import annotations

import re
from dataclasses import replace

from modelbuild.npu.compiler import compile_model
from modelbuild.npu.program import decode, disassemble
from tests.npu.strategies import network, recipe


def test_a_line_an_instruction() -> None:
    compiled = compile_model(network(0), recipe(), {})
    lines = disassemble(compiled.command)
    assert len(lines) == len(decode(compiled.command).instructions)
    assert lines[0] == "layer 0  ; layer0 (conv)"
    setup = "  convolution-setup input_type=i8 weight_type=i8 output_type=i8 kernel_height=3"
    assert any(line.startswith(setup) for line in lines[:4])
    assert any(re.fullmatch(r"  load dram=0 sram=\d+ length=432", line) for line in lines[:4])
    assert lines[-1] == "  end"
    assert sum(line.startswith("layer") for line in lines) == len(compiled.groups)


def test_segments_of_the_host() -> None:
    model = network(0)
    last = replace(model.operators[-1], unit="cpu")
    compiled = compile_model(replace(model, operators=(*model.operators[:-1], last)), recipe(), {})
    lines = disassemble(compiled.command, compiled.host)
    at = lines.index("segment 0")
    assert lines[at - 2 : at + 2] == ["  yield segment=0", "  end", "segment 0", "layer 6  ; layer6 (gemm)"]


def test_strided_transfers_show_their_loops() -> None:
    compiled = compile_model(network(0), recipe(), {"sram_bytes": 1280})
    assert any(re.search(r" x\d+\(dram\+144,sram\+\d+\)$", line) for line in disassemble(compiled.command))
