"""Operators in the order in which a plan executes them."""

from __future__ import annotations

from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.npu.planning.order import renumbered, reordered
from modelbuild.npu.planning.plan import Plan


def in_order(model: FixedModel, made: Plan) -> tuple[FixedModel, Plan]:
    """The model and its plan with operators in the order of their groups; those without code stand as early
    as they did."""
    active = {index for group in made.groups for index in group.members}
    free = [index for index in range(len(model.operators)) if index not in active]
    makers = {name: index for index, operator in enumerate(model.operators) for name in operator.outputs}
    order: list[int] = []
    placed: set[int] = set()

    def place(index: int) -> None:
        order.append(index)
        placed.add(index)

    for group in made.groups:
        for index in [each for each in free if each < group.members[0]]:
            if all(makers.get(name, index) in {*placed, index} for name in model.operators[index].inputs):
                free.remove(index)
                place(index)
        for index in group.members:
            place(index)
    order += free
    if order == list(range(len(order))):
        return model, made
    numbers = sorted(range(len(order)), key=order.__getitem__)  # old number -> new
    return reordered(model, order), renumbered(made, numbers)
