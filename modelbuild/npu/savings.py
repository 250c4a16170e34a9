"""What other settings would save of a chip's DRAM, by compiling with them."""

from __future__ import annotations

from collections.abc import Mapping

from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.chips.recipe import Recipe
from modelbuild.errors import ModelbuildError
from modelbuild.npu.compiler import CompiledModel, compile_model
from modelbuild.npu.limits import OverMemory, Sizes, Ways

Saved = dict[str, int]
_LARGEST_INT4 = 7
_INT4_LEFT = 5 / 8  # of a byte: codec `short` stores a weight of 4 bits in 5, one of them a mark


def sizes_of(compiled: CompiledModel) -> Sizes:
    """The regions of a compiled model."""
    memory = compiled.memory
    return Sizes(memory.input, memory.output, memory.working, memory.command, memory.weights, memory.host)


def savings(model: FixedModel, recipe: Recipe, options: Mapping[str, object], now: Sizes) -> Ways:
    """Bytes less than `now` with each setting that is not set yet; weights of 4 bits are estimated."""
    packed = bool(options.get("weight_compress"))
    return Ways(
        shared_output=_less(now, model, recipe, {**options, "dedicated_output_buffer": False}),
        compressed=0 if packed else _less(now, model, recipe, {**options, "weight_compress": True}),
        int4=round(now.weights * (1 - _INT4_LEFT)) if packed and _may_narrow(model, recipe) else 0,
    )


def saved(compiled: CompiledModel, model: FixedModel, recipe: Recipe, options: Mapping[str, object]) -> Saved:
    """Bytes of DRAM that the options save of a compiled model: name -> bytes, of those that are set."""
    found: Saved = {}
    if options.get("dedicated_output_buffer") is False:
        apart = compile_model(model, recipe, {**options, "dedicated_output_buffer": True}, bytes_wanted=False)
        found["saved_by_shared_outputs"] = sizes_of(apart).maps - sizes_of(compiled).maps
    if options.get("weight_compress"):
        found["saved_by_packed_weights"] = compiled.packed
    return found


def _less(now: Sizes, model: FixedModel, recipe: Recipe, options: Mapping[str, object]) -> int:
    try:
        sizes = sizes_of(compile_model(model, recipe, options))
    except OverMemory as error:
        sizes = error.sizes
    except ModelbuildError:
        return 0
    return max(0, now.total - sizes.total)


def _may_narrow(model: FixedModel, recipe: Recipe) -> bool:
    """Whether the chip has weights of 4 bits, and the model has wider ones."""
    names = [operator.constants["weight"] for operator in model.operators if "weight" in operator.constants]
    wide = any(int(model.constants[name].max(initial=0)) > _LARGEST_INT4 for name in names)
    return "int4" in recipe.number_format.weights and wide
