"""The settings that the compiler obeys."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

from modelbuild.chips.recipe import Recipe
from modelbuild.errors import ModelbuildError
from modelbuild.npu.choices import DEFAULT, TILINGS
from modelbuild.npu.program.header import MAX_SRAM


@dataclass(frozen=True)
class CompileOptions:
    """`tiling`: default or deep. `dedicated_output_buffer`: outputs of the model share memory with nothing.
    `weight_compress`: constants are packed where that makes them shorter."""

    sram_bytes: int
    tiling: str
    dedicated_output_buffer: bool
    weight_compress: bool


def _is_sram(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= MAX_SRAM


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)


def _is_tiling(value: object) -> bool:
    return value in TILINGS


_CHECKS: dict[str, tuple[Callable[[object], bool], str]] = {
    "dedicated_output_buffer": (_is_flag, "true or false"),
    "sram_bytes": (_is_sram, f"a number from 1 to {MAX_SRAM}"),
    "tiling": (_is_tiling, " or ".join(TILINGS)),
    "weight_compress": (_is_flag, "true or false"),
}


def compile_options(recipe: Recipe, options: Mapping[str, object]) -> CompileOptions:
    """`options` with the recipe's SRAM and the defaults for what is left out. A ModelbuildError names an
    unknown one, and says what a wrong one must be."""
    unknown = sorted(set(options) - set(_CHECKS))
    if unknown:
        raise ModelbuildError(
            f"unknown compile option {unknown[0]!r}", advice=f"the options are {', '.join(_CHECKS)}"
        )
    for name, value in options.items():
        holds, wanted = _CHECKS[name]
        if not holds(value):
            raise ModelbuildError(f"{name} must be {wanted}, not {value!r}")
    return CompileOptions(
        sram_bytes=cast(int, options.get("sram_bytes", int(recipe.hardware.sram_bytes.value))),
        tiling=cast(str, options.get("tiling", DEFAULT)),
        dedicated_output_buffer=cast(bool, options.get("dedicated_output_buffer", True)),
        weight_compress=cast(bool, options.get("weight_compress", False)),
    )
