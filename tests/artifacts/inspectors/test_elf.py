"""An ELF as `inspect` shows it."""

from __future__ import annotations

from pathlib import Path

from modelbuild.artifacts.inspect import inspect
from modelbuild.formats import elf


def test_sections_with_their_roles(tmp_path: Path) -> None:
    path = tmp_path / "net_stage1_mla.elf"
    path.write_bytes(
        elf.write([elf.NewSection("code.r0.c0", b"12"), elf.NewSection("ofm.persistent.a.b0", None, 1008)])
    )
    found = inspect(path)
    assert [(item["name"], item["role"]) for item in found["sections"]] == [
        ("code.r0.c0", "code"),
        ("ofm.persistent.a.b0", "output"),
        (".shstrtab", "table"),
    ]
    assert (found["code_bytes"], found["output_bytes"], found["weight_bytes"]) == (2, 1008, 0)
    assert all(part["known"] for part in found["parts"])


def test_an_ordinary_program_has_no_such_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a.out"
    path.write_bytes(elf.write([elf.NewSection(".text", b"12")]))
    found = inspect(path)
    assert found["code_bytes"] is None and found["sections"][0]["role"] == "unknown"
