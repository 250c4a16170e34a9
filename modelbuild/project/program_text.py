"""A compiled program as text: tiles and instructions of an NPU's, operations and memory of a kmodel."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

_SIZES = ("kmodel", "input", "output", "working", "total", "kpu_ram")  # the total is that of the general RAM


def program_text(command: bytes, host: bytes, plan: Mapping[str, Any]) -> dict[str, str]:
    """File name -> text; `plan` is what `compile.json` holds."""
    from modelbuild.formats import kmodel

    return _of_kmodel(command, plan) if command.startswith(kmodel.MAGIC) else _of_npu(command, host)


def _of_npu(command: bytes, host: bytes) -> dict[str, str]:
    from modelbuild.npu.program.disassembler import disassemble
    from modelbuild.npu.program.tile_list import tile_list

    return {"tiles.txt": _text(tile_list(command, host)), "program.txt": _text(disassemble(command, host))}


def _of_kmodel(command: bytes, plan: Mapping[str, Any]) -> dict[str, str]:
    from modelbuild.artifacts.inspectors import kmodel_code, kmodel_listing
    from modelbuild.formats import kmodel

    code = kmodel_listing.listing(kmodel_code.describe(kmodel.read(command)))
    return {"operations.txt": _text([*_operations(plan), *_memory(plan)]), "program.txt": code}


def _operations(plan: Mapping[str, Any]) -> Iterator[str]:
    for number, step in enumerate(plan["executed"]):
        where = f"module {step['module']}, function {step['function']}"
        yield f"operation {number}  {step['name']}  ; {step['operator']}, {where}, {step['time_ms']:.6f} ms"
        yield f"  reads {_names(step['reads'])}"
        yield f"  writes {_names(step['writes'])}"


def _memory(plan: Mapping[str, Any]) -> Iterator[str]:
    yield "memory  ; " + ", ".join(f"{name} {plan['memory'][name]:,}" for name in _SIZES)
    for item in plan["placements"]:
        yield (
            f"  {item['pool']} 0x{item['offset']:06x}  {item['size']:,} bytes, operations {item['first']} to "
            f"{item['last']}: {_names(item['tensors'])}"
        )


def _names(names: Iterable[str]) -> str:
    return ", ".join(json.dumps(name, ensure_ascii=False) for name in names) or "nothing"


def _text(lines: Iterable[str]) -> str:
    return "\n".join(lines) + "\n"
