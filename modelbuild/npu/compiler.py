"""A fixed-point model and a chip -> the three byte strings of a program, and what they will cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.chips.recipe import Recipe
from modelbuild.errors import ModelbuildError
from modelbuild.npu.batching import own_batch
from modelbuild.npu.choices import DEEP, DEFAULT
from modelbuild.npu.compile_options import CompileOptions, compile_options
from modelbuild.npu.deep_tiling import DeepTiling, does_not_fit, exceeds_dram, no_better
from modelbuild.npu.emitted import Emitted, Progress, Told, emit
from modelbuild.npu.emitting.layer_plan import GroupPlan, LayerPlan
from modelbuild.npu.limits import Room, check_memory, room
from modelbuild.npu.planning.cutting import Limits
from modelbuild.npu.planning.does_not_fit import DoesNotFit
from modelbuild.npu.planning.memory import MemoryPlan
from modelbuild.npu.planning.plan import Plan
from modelbuild.npu.planning.planner import plan
from modelbuild.npu.program import Rates, encode
from modelbuild.npu.rates import limits_of, rates
from modelbuild.npu.rewriting import rewritten
from modelbuild.npu.too_little_sram import layer_of, too_little_sram

ARITHMETIC = "multiplier_shift@1"


@dataclass(frozen=True)
class CompiledModel:
    """A program and its plan. `cycles` are those that the simulator will count, `tiling` is that of the plan;
    `deep` says what became of deep tiling, None where nobody wanted it; `default` is then what the default
    plan makes, where only counts were wanted."""

    command: bytes
    weights: bytes
    host: bytes
    layers: tuple[LayerPlan, ...]
    groups: tuple[GroupPlan, ...]
    memory: MemoryPlan
    cycles: int
    tiling: str
    deep: DeepTiling | None
    rates: Rates
    packed: int  # bytes by which the weights are shorter than they would be unpacked
    default: CompiledModel | None = field(default=None, compare=False)


def compile_model(
    model: FixedModel,
    recipe: Recipe,
    options: Mapping[str, object],
    *,
    bytes_wanted: bool = True,
    told: Told | None = None,
) -> CompiledModel:
    """Compiles for the recipe's chip. `options` are those of `compile_options`. Without `bytes_wanted`
    nothing but counts is made, and a model may exceed DRAM: for an outline. `told` hears how many groups are
    done, of how many, and of which plan.

    A model that is not `multiplier_shift@1`, an operator that docs/arithmetic.md does not define, a layer
    whose smallest step exceeds SRAM is a ModelbuildError, a model that exceeds DRAM an OverMemory.
    """
    wanted = compile_options(recipe, options)
    if model.arithmetic != ARITHMETIC:
        raise ModelbuildError(f"the compiler knows {ARITHMETIC}, not {model.arithmetic}", where=model.name)
    model = rewritten(model)
    counted = rates(recipe.hardware)
    limits = limits_of(recipe.hardware, wanted.sram_bytes)
    try:
        default = _default(model, limits, wanted)
    except DoesNotFit as error:
        raise too_little_sram(model, error, limits, recipe, "sram_bytes" in options) from None
    deep = _deep(model, limits, wanted) if wanted.tiling == DEEP else None
    plans = [(DEFAULT, made) for made in default] + ([(DEEP, deep)] if isinstance(deep, Plan) else [])
    steps = Progress(told, sum(len(made.groups) for _, made in plans))
    try:
        emitted = [
            emit(model, made, counted, replace(wanted, tiling=tiling), bytes_wanted, steps)
            for tiling, made in plans
        ]
    except DoesNotFit as error:
        raise too_little_sram(model, error, limits, recipe, "sram_bytes" in options) from None
    has = room(recipe)
    if len(default) > 1:
        plain, over_batch, *others = emitted
        emitted = [over_batch if over_batch.better(plain, has) else plain, *others]
    best = emitted[-1] if emitted[-1].better(emitted[0], has) else emitted[0]
    became = deep if isinstance(deep, DeepTiling) else _became(emitted, best, has)
    made = _assemble(best, recipe, bytes_wanted, became)
    if bytes_wanted or became is None:
        return made
    return replace(made, default=_assemble(emitted[0], recipe, bytes_wanted, None))


def _default(model: FixedModel, limits: Limits, wanted: CompileOptions) -> tuple[Plan, ...]:
    """The default plan; of several pictures a second one, if maps stay in some group while the weights pass
    in parts: it moves less, unless what it holds is missing elsewhere."""
    plain = plan(model, limits, dedicated=wanted.dedicated_output_buffer)
    if (own_batch(model) or 1) == 1:
        return (plain,)
    made = plan(model, replace(limits, over_batch=True), dedicated=wanted.dedicated_output_buffer)
    return (plain, made) if made.over_batch else (plain,)


def _deep(model: FixedModel, limits: Limits, wanted: CompileOptions) -> Plan | DeepTiling:
    """The deep plan, or why there is none."""
    try:
        return plan(model, limits, deep=True, dedicated=wanted.dedicated_output_buffer)
    except DoesNotFit as error:
        return does_not_fit(layer_of(model, error.operator), error.needed, limits.sram_bytes)


def _became(emitted: Sequence[Emitted], best: Emitted, has: Room) -> DeepTiling | None:
    """What became of the deep plan, if there is one beside the default."""
    if len(emitted) == 1:
        return None
    default, deep = emitted
    if best is deep:
        return DeepTiling(taken=True)
    if has.holds(default.sizes) and not has.holds(deep.sizes):
        if deep.sizes.total <= has.bytes:
            return exceeds_dram(deep.sizes.maps, has.maps(deep.sizes), "the maps of a program take at most")
        return exceeds_dram(deep.sizes.total, has.bytes, has.of)
    return no_better((deep.npu.now, deep.moved), (default.npu.now, default.moved))


def _assemble(found: Emitted, recipe: Recipe, bytes_wanted: bool, deep: DeepTiling | None) -> CompiledModel:
    model, maps, sizes = found.model, found.maps, found.sizes
    memory = MemoryPlan(
        input=sizes.input,
        output=sizes.output,
        working=sizes.working,
        command=sizes.command,
        weights=sizes.weights,
        host=sizes.host,
        dram_peak=sizes.total,
        sram_peak=found.program.sram_size,
        placements=maps.placements,
    )
    if bytes_wanted:
        check_memory(model.name, sizes, recipe, shapes=[model.tensors[name].shape for name in model.inputs])
    weights = bytes(found.npu.constants.data)
    return CompiledModel(
        *((encode(found.program), weights, found.host_section) if bytes_wanted else (b"", b"", b"")),
        layers=found.layers(),
        groups=tuple(found.groups),
        memory=memory,
        cycles=found.npu.now,
        tiling=found.tiling,
        deep=deep,
        rates=found.npu.rates,
        packed=found.npu.constants.saved,
    )
