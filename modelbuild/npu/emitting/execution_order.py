"""Operators in the order in which a plan executes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.npu.planning.plan import Action, Compute, Group, LoadConstants, Plan


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
    position = {index: new for new, index in enumerate(order)}
    operators = tuple(model.operators[index] for index in order)
    groups = tuple(_renumbered(group, position) for group in made.groups)
    inside = {position[index]: ready for index, ready in made.inside.items()}
    return replace(model, operators=operators), replace(made, groups=groups, inside=inside)


def _renumbered(group: Group, position: Mapping[int, int]) -> Group:
    def moved(action: Action) -> Action:
        if isinstance(action, (Compute, LoadConstants)):
            return replace(action, operator=position[action.operator])
        return action

    members = tuple(position[index] for index in group.members)
    return replace(group, members=members, actions=tuple(moved(action) for action in group.actions))
