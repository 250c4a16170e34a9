"""The order in which operators are executed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.npu.planning.plan import Action, Compute, Group, LoadConstants, Plan


def ends_first(model: FixedModel) -> tuple[int, ...]:
    """Operators (indices of the model's) in an order in which whatever leads to nothing but an output of the
    model is executed as soon as it can be, the shortest way first: what it reads is not held for it."""
    makers = {name: index for index, operator in enumerate(model.operators) for name in operator.outputs}
    needs = [{makers[name] for name in operator.inputs if name in makers} for operator in model.operators]
    readers: list[list[int]] = [[] for _ in needs]
    for index, sources in enumerate(needs):
        for source in sources:
            readers[source].append(index)
    length = _steps_to_output(readers)
    done: set[int] = set()
    found: list[int] = []
    for index in range(len(needs)):
        waiting = [index]
        while waiting:
            now = waiting.pop()
            if now in done:
                continue
            done.add(now)
            found.append(now)
            ready = [other for other in readers[now] if other in length and needs[other] <= done]
            waiting += sorted(ready, key=lambda other: (-length[other], -other))
    return tuple(found)


def _steps_to_output(readers: Sequence[Sequence[int]]) -> dict[int, int]:
    """Operators on a way to an output that does not branch, and how many come behind them."""
    found: dict[int, int] = {}
    for index in reversed(range(len(readers))):
        if not readers[index]:
            found[index] = 0
        elif len(readers[index]) == 1 and readers[index][0] in found:
            found[index] = found[readers[index][0]] + 1
    return found


def reordered(model: FixedModel, order: Sequence[int]) -> FixedModel:
    """The same model with its operators in another order."""
    return replace(model, operators=tuple(model.operators[index] for index in order))


def renumbered(plan: Plan, numbers: Sequence[int]) -> Plan:
    """The plan with other numbers of operators: `numbers[index]` in place of `index`."""
    return replace(
        plan,
        groups=tuple(_renumbered(group, numbers) for group in plan.groups),
        inside={numbers[index]: positions for index, positions in plan.inside.items()},
    )


def _renumbered(group: Group, numbers: Sequence[int]) -> Group:
    def action(found: Action) -> Action:
        if isinstance(found, Compute | LoadConstants):
            return replace(found, operator=numbers[found.operator])
        return found

    members = tuple(numbers[index] for index in group.members)
    return replace(group, members=members, actions=tuple(action(found) for found in group.actions))
