"""Whether each layer of a model has a step that fits the memory on the chip, before anything is quantized."""

from __future__ import annotations

from collections.abc import Mapping

from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.chips.recipe import Recipe
from modelbuild.errors import ModelbuildError
from modelbuild.graph.check import Finding
from modelbuild.npu.compiler import ARITHMETIC, compile_model
from modelbuild.npu.planning.least import too_large
from modelbuild.npu.rates import limits_of
from modelbuild.npu.rewriting import rewritten
from modelbuild.npu.too_little_sram import TooLittleSram

CODE = "MB117"


def check_sram(model: FixedModel, recipe: Recipe, options: Mapping[str, int]) -> list[Finding]:
    """What `compile` will say of the outline of a model, if the smallest step of a layer exceeds the SRAM of
    the chip, or the `sram_bytes` of the options. Only such a model is planned."""
    if model.arithmetic != ARITHMETIC:
        return []
    try:
        if not too_large(rewritten(model), limits_of(recipe.hardware, options.get("sram_bytes"))):
            return []
        compile_model(model, recipe, options, bytes_wanted=False)
    except TooLittleSram as error:
        (problem,) = error.problems
        return [Finding(CODE, "error", f"{problem.what}: {problem.why}", problem.advice)]
    except ModelbuildError:
        return []  # which is for `compile` to say
    return []
