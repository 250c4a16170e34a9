"""Within a group the compiler never loads and stores the same byte of DRAM: engines do not wait for it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from modelbuild.chips.load import load_recipe
from modelbuild.errors import ModelbuildError
from modelbuild.npu.compiler import CompiledModel, compile_model
from modelbuild.npu.program import decode, decode_host
from modelbuild.npu.program.transfers import Layer, Load, Store
from tests.npu.strategies import grown


def dram_bytes(transfer: Load | Store) -> set[int]:
    found = np.arange(transfer.dram, transfer.dram + transfer.length)
    for loop in transfer.loops:
        found = (found[:, None] + np.arange(loop.count) * loop.dram_stride).reshape(-1)
    return set(found.tolist())


def assert_apart(compiled: CompiledModel) -> int:
    """How many groups both load and store."""
    count = 0
    for stream in (decode(compiled.command).instructions, *decode_host(compiled.host).segments):
        moved: dict[type, set[int]] = {}
        for instruction in (*stream, Layer(0)):
            if isinstance(instruction, Layer):
                assert not moved.get(Load, set()) & moved.get(Store, set())
                count += len(moved) == 2
                moved = {}
            elif isinstance(instruction, Load | Store):
                moved.setdefault(type(instruction), set()).update(dram_bytes(instruction))
    return count


@pytest.mark.parametrize("tiling", ["default", "deep"])
@pytest.mark.parametrize("dedicated", [True, False])
def test_no_group_stores_what_it_loads(tiling: str, dedicated: bool) -> None:
    """Of models with concats, slices and reshapes that share memory, on the chip and on the host."""
    groups = 0
    for seed in range(12):
        model = grown(seed, 8, 3, 14)
        if seed % 2:
            model = replace(model, operators=tuple(replace(one, unit="npu") for one in model.operators))
        options = {"tiling": tiling, "dedicated_output_buffer": dedicated, "sram_bytes": 4096}
        try:
            compiled = compile_model(model, load_recipe(("kl520", "kl720", "modalix")[seed % 3]), options)
        except ModelbuildError as error:
            assert "smallest step" in str(error)
            continue
        groups += assert_apart(compiled)
    assert groups > 20
