"""Loads of constants that are written by hand."""

from __future__ import annotations

from modelbuild.npu.program.transfers import RAW, LoadConstants, Loop


def raw_constants(dram: int, sram: int, length: int, loops: tuple[Loop, ...] = ()) -> LoadConstants:
    """Constants that lie there as they are."""
    return LoadConstants(dram, sram, length, loops, codec=RAW, stored=length)
