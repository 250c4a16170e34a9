"""Compiles a model for as many pictures a run as are wanted, as operators allow, and as DRAM holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.chips.recipe import Recipe
from modelbuild.graph.check import Finding
from modelbuild.npu.batching import CODE, Batched, own_batch, widen
from modelbuild.npu.compiler import CompiledModel, compile_model
from modelbuild.npu.emitted import Told
from modelbuild.npu.limits import OverMemory, check_memory, room
from modelbuild.npu.savings import savings, sizes_of


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


Attempt = Callable[[FixedModel], CompiledModel]  # errors: OverMemory
_MANY = 8  # times the model's own batch: more are not tried before one says how many there may be
_SMALLER = "take a smaller picture, or be content with it"


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
        compiled, batched = _achieved(model, attempt, recipe, desired)
    except OverMemory as error:
        ways = partial(savings, model, recipe, options, error.sizes)
        shapes = [model.tensors[name].shape for name in model.inputs]
        check_memory(model.name, error.sizes, recipe, ways, shapes)  # raises it with what would help
        raise
    return compiled, Batch(desired, batched.achieved, batched.reasons)


def count_batch(
    model: FixedModel,
    recipe: Recipe,
    options: Mapping[str, object],
    desired: int | None,
    told: Told | None = None,
) -> tuple[CompiledModel, Batched]:
    """What `compile_batch` would make of a model's outline, without bytes: its counts, and the widened model
    with the batch that is achieved. Where not even the model's own batch fits, the counts are of that one,
    exceed the memory, and a reason says so. `told` as of `compile_batch`."""

    def attempt(widened: FixedModel) -> CompiledModel:
        compiled = compile_model(widened, recipe, options, bytes_wanted=False, told=told)
        check_memory(widened.name, sizes_of(compiled), recipe)
        return compiled

    own = Batched(model, own_batch(model) or 1)
    if desired is not None:
        try:
            return _achieved(model, attempt, recipe, desired)
        except OverMemory:
            own = widen(model, min(own.achieved, desired))
            message = f"not even a batch of {own.achieved} fits the memory of {recipe.chip}"
            own = replace(
                own, reasons=(*own.reasons, Finding(CODE, "warning", message, "take a smaller picture"))
            )
    return compile_model(own.model, recipe, options, bytes_wanted=False, told=told), own


def _achieved(
    model: FixedModel, attempt: Attempt, recipe: Recipe, desired: int | None
) -> tuple[CompiledModel, Batched]:
    """The batch that operators and memory allow. Errors: OverMemory where not even the smallest fits."""
    own = own_batch(model) or 1
    if desired is None:
        return attempt(model), Batched(model, own)
    batched = widen(model, desired)
    least = min(own, batched.achieved)
    above = most = batched.achieved
    if most > _MANY * least:
        above = _not_much_more(attempt(model), own, most, recipe)
    try:
        while above < most:
            attempt(widen(model, above).model)  # mostly OverMemory, sooner than all that are wanted
            above = min(2 * above, most)
        return attempt(batched.model), batched
    except OverMemory as error:
        if above <= least:
            raise
        compiled, achieved = _largest(model, attempt, least, above, error)
    message = f"a batch of {achieved} fits the memory of {recipe.chip}, {most} does not"
    reason = Finding(CODE, "warning", message, _SMALLER)
    return compiled, Batched(widen(model, achieved).model, achieved, (reason,))


def _not_much_more(compiled: CompiledModel, batch: int, wanted: int, recipe: Recipe) -> int:
    """A quarter more pictures than fit if each takes what it takes in this batch; not above `wanted`."""
    sizes = sizes_of(compiled)
    most = batch * room(recipe).maps(sizes) // max(1, sizes.maps)
    return min(wanted, max(batch, most + most // 4))


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
