"""What is told where steps of layers exceed the memory on the chip: each of them, and what would help."""

from __future__ import annotations

from collections.abc import Mapping

from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.chips.recipe import Recipe
from modelbuild.errors import ModelbuildError
from modelbuild.npu.planning.cutting import Limits
from modelbuild.npu.planning.does_not_fit import DoesNotFit
from modelbuild.npu.planning.least import too_large

_SHOWN = 4
SETTING = "compile.sram_bytes"  # a place that is found in a manifest


class TooLittleSram(ModelbuildError):
    """The smallest step of a layer, and of others if there are more, exceeds the memory on the chip."""


def layer_of(model: FixedModel, index: int | None) -> str:
    """The layer in words, by its kind and name."""
    if index is None:
        return "a layer"
    operator = model.operators[index]
    return f"{operator.kind} {operator.name!r}"


def too_little_sram(
    model: FixedModel, found: DoesNotFit, limits: Limits, recipe: Recipe, is_set: bool
) -> TooLittleSram:
    """The error of a model that has no plan since `found`. `is_set`: the settings say how much SRAM there is,
    and not the recipe."""
    needs: dict[int | None, int] = {found.operator: found.needed}
    needs |= dict(found.others.items())
    if found.operator is not None:
        for index, size in too_large(model, limits).items():
            needs.setdefault(index, size)
    (first, most), *others = sorted(needs.items(), key=lambda item: (-item[1], item[0] or 0))
    return TooLittleSram(
        f"the smallest step of {layer_of(model, first)} needs {most} bytes of SRAM",
        where=SETTING if is_set else model.name,
        why=f"there are {limits.sram_bytes}{_others(model, dict(others))}",
        advice=_advice(most, int(recipe.hardware.sram_bytes.value), recipe.chip, is_set),
    )


def _others(model: FixedModel, needs: Mapping[int | None, int]) -> str:
    if not needs:
        return ""
    listed = [f"{layer_of(model, index)} ({size})" for index, size in list(needs.items())[:_SHOWN]]
    more = f" and {len(needs) - _SHOWN} more" if len(needs) > _SHOWN else ""
    return f", too few as well for {', '.join(listed)}{more}"


def _advice(needed: int, own: int, chip: str, is_set: bool) -> str:
    smaller = "a narrower picture, or fewer channels, makes the step smaller"
    if is_set and needed <= own:
        return f"write `sram_bytes: {needed}` or more, or remove it: {chip} has {own}"
    return f"{smaller}; or take a chip with {needed} bytes of SRAM or more"
