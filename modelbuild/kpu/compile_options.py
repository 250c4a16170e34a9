"""The settings that the compiler of kmodels obeys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from modelbuild.chips.recipe import Recipe
from modelbuild.errors import ModelbuildError, did_you_mean
from modelbuild.formats.kmodel.kpu_registers import RAM_BYTES, RAM_UNIT

SRAM = "sram_bytes"


@dataclass(frozen=True)
class CompileOptions:
    """`sram_bytes`: of the KPU's RAM, a multiple of 64."""

    sram_bytes: int


def compile_options(recipe: Recipe, options: Mapping[str, object]) -> CompileOptions:
    """`options` with the recipe's RAM for what is left out. A ModelbuildError names an unknown one, and says
    what a wrong one must be."""
    for name in sorted(set(options) - {SRAM}):
        raise ModelbuildError(
            f"unknown compile option {name!r}", advice=did_you_mean(name, [SRAM]) or f"the option is {SRAM}"
        )
    most = min(RAM_BYTES, int(recipe.hardware.sram_bytes.value))
    given = options.get(SRAM, most)
    if not isinstance(given, int) or isinstance(given, bool) or not 0 < given <= most:
        raise ModelbuildError(
            f"{SRAM} must be a number from 1 to {most}, not {given!r}", advice="leave it out for all of it"
        )
    return CompileOptions(given // RAM_UNIT * RAM_UNIT)
