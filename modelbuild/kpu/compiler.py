"""A fixed model of `kpu@1` or `float32` -> a kmodel of version 5, and the plan that it follows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from modelbuild.arithmetic.checking import check
from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.arithmetic.kpu.validation import RULES
from modelbuild.chips.recipe import Recipe
from modelbuild.errors import ModelbuildError
from modelbuild.formats import kmodel
from modelbuild.formats.kmodel.image import Image, Module
from modelbuild.kpu.compile_options import compile_options
from modelbuild.kpu.emitting.layers import kpu_module
from modelbuild.kpu.emitting.main import KPU_MODULE, main_module
from modelbuild.kpu.planning.chains import Chain, chains, unneeded
from modelbuild.kpu.planning.limits import check_layers
from modelbuild.kpu.planning.memory import Placement, in_ram, main_memory
from modelbuild.kpu.planning.operations import LAYER, OUTPUT, PART, UPLOAD, Operation, operations
from modelbuild.kpu.planning.order import late
from modelbuild.kpu.planning.storage import storage
from modelbuild.kpu.room import Sizes, check_room

MAIN_MODULE = 0
_EVENTS = {UPLOAD: "kpu_upload", LAYER: "kpu_conv2d", PART: "copy", OUTPUT: "copy", "reshape": "copy"}
_FUNCTIONS = {
    "lookup": "lut1d",
    "expand": "broadcast",
    "resize_nearest": "resize_image",
    "resize_bilinear": "resize_image",
    "arg": "reduce_arg",
    "conv": "conv2d",
    "window": "reduce_window2d",
}


@dataclass(frozen=True)
class Executed:
    """One operation in order of execution, as the simulator tells it (`Event.name`, `module`, `function`).

    `operator` is the fixed model's that it belongs to, `reads` and `writes` its tensors; a `copy` may write
    part of one. Values of those in `main_memory` go to or come from it, others stay in the KPU's RAM."""

    name: str
    module: int
    function: int
    operator: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    main_memory: tuple[str, ...]


@dataclass(frozen=True)
class KpuFunction:
    """A function of the KPU's module: what is uploaded, its layers by name, what goes back to main memory;
    `ram_bytes` of the KPU's RAM are in use."""

    sources: tuple[str, ...]
    layers: tuple[str, ...]
    outputs: tuple[str, ...]
    ram_bytes: int


@dataclass(frozen=True)
class MemoryPlan:
    """Bytes of all memories, and what lies where from which operation to which (numbers of `executed`)."""

    sizes: Sizes
    placements: tuple[Placement, ...]


@dataclass(frozen=True)
class Compiled:
    """The file and its plan. `findings` are sentences for the user; `free` operators cost nothing: tensors
    that look at others, and concatenations whose parts are made in place, or that the KPU alone reads."""

    kmodel: bytes = field(repr=False)
    executed: tuple[Executed, ...]
    functions: tuple[KpuFunction, ...]
    memory: MemoryPlan
    free: tuple[str, ...]
    findings: tuple[str, ...]


def compile_model(
    model: FixedModel, recipe: Recipe, options: Mapping[str, object], *, is_valid: bool = False
) -> Compiled:
    """Compiles for the recipe's chip; `options` are those of `compile_options`. The bytes depend on the
    arguments alone. `is_valid`: the lowering has just made the model, and held it against its arithmetic.

    Errors: ModelbuildError for a model that its arithmetic refuses, for layers that the KPU cannot do, each
    with what would help, and for a model that the general RAM does not hold."""
    rules = RULES.get(model.arithmetic)
    if rules is None:
        raise ModelbuildError(
            f"the compiler of kmodels knows {' and '.join(sorted(RULES))}, not {model.arithmetic}",
            where=model.name,
        )
    if not is_valid:
        check(model, rules)
    wanted = compile_options(recipe, options)
    check_layers(model, wanted.sram_bytes, compile_options(recipe, {}).sram_bytes)
    model = late(model)
    found = chains(model, wanted.sram_bytes)
    uploads = {name for chain in found for name in chain.sources}
    shared = storage(model, uploads, unneeded(model, found))
    steps = operations(model, found, shared)
    memory = main_memory(model, shared, steps)
    modules = [main_module(model, found, shared, memory, steps)]
    if found:
        modules.append(kpu_module(model, found))
    data = kmodel.write(Image(tuple(modules)))
    sizes = Sizes(
        len(data),
        memory.input,
        memory.output,
        memory.data,
        _constants(modules, MAIN_MODULE),
        _constants(modules, KPU_MODULE),
        max((chain.peak for chain in found), default=0),
    )
    placements = (*memory.placements, *in_ram(found, steps))
    check_room(model, recipe, sizes, placements, steps)
    return Compiled(
        data,
        tuple(_executed(model, step) for step in steps),
        tuple(_function(model, chain) for chain in found),
        MemoryPlan(sizes, placements),
        tuple(model.operators[index].name for index in sorted(shared.free)),
        tuple(_findings(found, wanted.sram_bytes, compile_options(recipe, {}).sram_bytes)),
    )


def _constants(modules: Sequence[Module], number: int) -> int:
    return len(modules[number].sections[0].body) if number < len(modules) else 0


def _executed(model: FixedModel, step: Operation) -> Executed:
    operator = model.operators[step.operator]
    on_kpu = step.chain is not None
    if on_kpu:
        reads = step.reads if step.kind == UPLOAD else operator.inputs
        writes = step.reads if step.kind == UPLOAD else operator.outputs
    else:
        reads, writes = step.reads, step.writes or step.reads
    name = _EVENTS.get(step.kind) or _EVENTS.get(operator.kind)
    return Executed(
        name or _FUNCTIONS.get(operator.kind, operator.kind),
        KPU_MODULE if on_kpu else MAIN_MODULE,
        step.chain if step.chain is not None else 0,
        operator.name,
        reads,
        writes,
        (*step.reads, *step.writes),
    )


def _function(model: FixedModel, chain: Chain) -> KpuFunction:
    layers = tuple(model.operators[index].name for index in chain.layers)
    return KpuFunction(chain.sources, layers, chain.outputs, chain.peak)


def _findings(found: Sequence[Chain], room: int, own: int) -> list[str]:
    """Chains that were cut: a map that one function makes and another uploads again. `room`: bytes of the
    KPU's RAM that the settings leave of its `own`."""
    ram = "the KPU's RAM" if room == own else f"the {room:,} bytes of the KPU's RAM that `sram_bytes` leaves"
    makers = {name: number for number, chain in enumerate(found) for name in chain.outputs}
    return [
        f"{source} goes to main memory and back: the layers behind it do not fit into {ram} "
        f"together with those of function {makers[source]}"
        for chain in found
        for source in chain.sources
        if len(chain.sources) == 1 and source in makers
    ]
