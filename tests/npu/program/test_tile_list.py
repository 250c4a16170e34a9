"""The tile list: every tile of every layer, and the bytes that layers move, as the compiler planned them."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from modelbuild.npu.compiler import CompiledModel, compile_model
from modelbuild.npu.program.tile_list import tile_list
from tests.npu.strategies import network, recipe

HEAD = re.compile(r"(?:segment \d+, )?layer \d+  ; (\S+) \(\w+\) on the (npu|cpu): (\d+) tiles?((?:, .*)?)")


def told(compiled: CompiledModel) -> dict[str, tuple[str, int, dict[str, int]]]:
    """Layer -> unit, number of tiles listed, and bytes moved."""
    found: dict[str, tuple[str, int, dict[str, int]]] = {}
    listed, name = 0, ""
    for line in tile_list(compiled.command, compiled.host):
        head = HEAD.fullmatch(line)
        if head is None:
            assert re.match(rf"  tile {listed}: [a-z-]+ input=\d+ ", line)
            listed += 1
        else:
            name, listed = head[1], 0
            moved = {what: int(count) for count, what in re.findall(r", (\d+) bytes (read|written)", head[4])}
            found[name] = (head[2], int(head[3]), moved)
        assert listed <= found[name][1]
    return found


@pytest.mark.parametrize("sram", [1 << 20, 1280])
def test_it_lists_what_the_compiler_planned(sram: int) -> None:
    compiled = compile_model(network(0), recipe(), {"sram_bytes": sram})
    found = told(compiled)
    planned = {compiled.layers[group.members[0]].name: group for group in compiled.groups if group.tiles}
    assert list(found) == list(planned)
    for name, group in planned.items():
        moved = {"read": group.dram_read, "written": group.dram_write}
        assert found[name] == ("npu", group.tiles, {what: size for what, size in moved.items() if size})
    assert any(group.tiles > len(group.members) for group in compiled.groups) or sram > 1280


def test_the_hosts_tiles_are_listed_with_their_segment() -> None:
    model = network(0)
    last = replace(model.operators[-1], unit="cpu")
    compiled = compile_model(replace(model, operators=(*model.operators[:-1], last)), recipe(), {})
    lines = tile_list(compiled.command, compiled.host)
    assert any(line.startswith("segment 0, layer 6  ; layer6 (gemm) on the cpu: ") for line in lines)
    assert told(compiled)["layer6"][0] == "cpu"
