"""The chip's general RAM, which holds the kmodel and what it works in: what a model takes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.chips.recipe import Recipe
from modelbuild.errors import EXIT_FAILED, ModelbuildError
from modelbuild.kpu.planning.limits import node
from modelbuild.kpu.planning.memory import Placement
from modelbuild.kpu.planning.operations import Operation

ADVICE = (
    "take a smaller picture or fewer channels; operators on the CPU work on floats, four times the bytes of "
    "the KPU's maps"
)


@dataclass(frozen=True)
class Sizes:
    """Bytes: of the file, of the model's inputs and outputs, and of the memory that the CPU works in. Of the
    file, the constants of either module; of the KPU's RAM, the most that is in use."""

    kmodel: int
    input: int
    output: int
    working: int
    constants: int
    kpu_constants: int
    kpu_ram: int

    @property
    def total(self) -> int:
        """Of the general RAM: the file and all pools, the KPU's RAM apart."""
        return self.kmodel + self.input + self.output + self.working


def check_room(
    model: FixedModel,
    recipe: Recipe,
    sizes: Sizes,
    placements: Sequence[Placement],
    executed: Sequence[Operation],
) -> None:
    """Raises ModelbuildError where the general RAM does not hold the model, with the operator at which most
    is in use."""
    room = int(recipe.hardware.dram_bytes.value)
    most = recipe.container.max_model_bytes
    room = room if most is None else min(room, most)
    if sizes.total <= room:
        return
    raise ModelbuildError(
        f"{model.name} needs {sizes.total:,} bytes of general RAM; {recipe.chip} has {room:,}",
        where=_fullest(model, placements, executed) if sizes.working else "",
        why=f"the kmodel has {sizes.kmodel:,}, inputs {sizes.input:,}, outputs {sizes.output:,}, "
        f"working memory {sizes.working:,}",
        advice=ADVICE,
        exit_code=EXIT_FAILED,
    )


def _fullest(model: FixedModel, placements: Sequence[Placement], executed: Sequence[Operation]) -> str:
    working = [item for item in placements if item.pool == "data"]

    def live(number: int) -> int:
        return sum(item.size for item in working if item.first <= number <= item.last)

    number = max(range(len(executed)), key=lambda number: (live(number), -number))
    operator = model.operators[executed[number].operator]
    return f"{operator.kind} {node(operator)}"
