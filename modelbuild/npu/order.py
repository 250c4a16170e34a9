"""The order in which operators are executed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.npu.plan import Action, Compute, Group, LoadConstants, Plan


def ends_first(model: FixedModel) -> tuple[int, ...]:
    """Operators (indices of the model's) in an order in which whatever leads to nothing but outputs of the
    model is executed as soon as it can be, so that what it reads is not held for it."""
    makers = {name: index for index, operator in enumerate(model.operators) for name in operator.outputs}
    needs = [{makers[name] for name in operator.inputs if name in makers} for operator in model.operators]
    waiting = _only_for_outputs(model, needs)
    done: set[int] = set()
    found: list[int] = []

    def execute(index: int) -> None:
        done.add(index)
        found.append(index)
        for other in sorted(waiting):
            if other not in done and needs[other] <= done:
                execute(other)

    for index in range(len(model.operators)):
        if index not in done:
            execute(index)
    return tuple(found)


def _only_for_outputs(model: FixedModel, needs: Sequence[set[int]]) -> set[int]:
    """Operators on a way to an output that does not branch."""
    readers: list[list[int]] = [[] for _ in needs]
    for index, sources in enumerate(needs):
        for source in sources:
            readers[source].append(index)
    found: set[int] = set()
    for index in reversed(range(len(needs))):
        if all(reader in found for reader in readers[index]) and len(readers[index]) <= 1:
            found.add(index)
    return found


def reordered(model: FixedModel, order: Sequence[int]) -> FixedModel:
    """The same model with its operators in another order."""
    return replace(model, operators=tuple(model.operators[index] for index in order))


def renumbered(plan: Plan, order: Sequence[int]) -> Plan:
    """The plan of a reordered model with the numbers that its operators had before."""
    return replace(
        plan,
        groups=tuple(_renumbered(group, order) for group in plan.groups),
        inside={order[index]: positions for index, positions in plan.inside.items()},
    )


def _renumbered(group: Group, order: Sequence[int]) -> Group:
    def action(found: Action) -> Action:
        if isinstance(found, Compute | LoadConstants):
            return replace(found, operator=order[found.operator])
        return found

    members = tuple(order[index] for index in group.members)
    return replace(group, members=members, actions=tuple(action(found) for found in group.actions))
