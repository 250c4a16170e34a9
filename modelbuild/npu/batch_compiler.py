"""Compiles a model for as many pictures a run as are wanted, as operators allow, and as DRAM holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.chips.recipe import Recipe
from modelbuild.graph.check import Finding
from modelbuild.npu.batching import CODE, own_batch, widen
from modelbuild.npu.compiler import CompiledModel, compile_model
from modelbuild.npu.emitted import Told
from modelbuild.npu.limits import OverMemory, check_memory
from modelbuild.npu.savings import savings


@dataclass(frozen=True)
class Batch:
    """Pictures a run: `desired` is None where nothing was asked for; `findings` say what stood in the way."""

    desired: int | None
    achieved: int
    findings: tuple[Finding, ...] = ()

    def to_json(self) -> dict[str, object]:
        """The form of compile.json."""
        reasons = [finding.message for finding in self.findings]
        return {"desired": self.desired, "achieved": self.achieved, "reasons": reasons}


Attempt = Callable[[FixedModel], CompiledModel]


def compile_batch(
    model: FixedModel,
    recipe: Recipe,
    options: Mapping[str, object],
    desired: int | None,
    told: Told | None = None,
) -> tuple[CompiledModel, Batch]:
    """The program and its batch. `told` hears how many groups of operators are done, of how many,
    and of which tiling. Errors:
    those of the compiler; OverMemory where not even the model's own batch fits."""

    def attempt(widened: FixedModel) -> CompiledModel:
        return compile_model(widened, recipe, options, told=told)

    try:
        return _compiled(model, attempt, recipe, desired)
    except OverMemory as error:
        ways = partial(savings, model, recipe, options, error.sizes)
        shapes = [model.tensors[name].shape for name in model.inputs]
        check_memory(model.name, error.sizes, recipe, ways, shapes)  # raises it with what would help
        raise


def _compiled(
    model: FixedModel, attempt: Attempt, recipe: Recipe, desired: int | None
) -> tuple[CompiledModel, Batch]:
    if desired is None:
        return attempt(model), Batch(None, own_batch(model) or 1)
    batched = widen(model, desired)
    least = min(own_batch(model) or 1, batched.achieved)
    try:
        return attempt(batched.model), Batch(desired, batched.achieved, batched.reasons)
    except OverMemory as error:
        if batched.achieved <= least:
            raise
        compiled, achieved = _largest(model, attempt, least, batched.achieved, error)
    message = f"a batch of {achieved} fits the memory of {recipe.chip}, {batched.achieved} does not"
    advice = "take a smaller picture, or be content with it"
    return compiled, Batch(desired, achieved, (Finding(CODE, "warning", message, advice),))


def _largest(
    model: FixedModel, attempt: Attempt, least: int, above: int, error: OverMemory
) -> tuple[CompiledModel, int]:
    """The largest batch from `least` to below `above` that fits. All but the weights grows with the batch, so
    that sizes that do not fit tell where to look; above what fits, one more is tried, and then halves."""
    found: tuple[CompiledModel, int] | None = None
    low, guess = least, _guess(above, error)
    while low < above:
        guess = min(max(guess, low), above - 1)
        try:
            compiled = attempt(widen(model, guess).model)
        except OverMemory as over:
            if guess == least:
                raise
            above, guess = guess, _guess(guess, over)
        else:
            low, tried = guess + 1, guess
            guess = low if found is None else (low + above) // 2
            found = compiled, tried
    assert found is not None
    return found


def _guess(batch: int, error: OverMemory) -> int:
    """A little more than what fits, where `batch` does not."""
    weights = error.sizes.weights
    return batch * (error.available - weights) // max(1, error.sizes.total - weights)
