"""Operators in the order of their groups."""

from __future__ import annotations

from modelbuild.npu.emitting.execution_order import in_order
from modelbuild.npu.planning.plan import (
    Buffer,
    Compute,
    Group,
    LoadConstants,
    Operand,
    Plan,
    Region,
    Workspace,
)
from tests.npu.small_models import Maker

AT = Operand(Buffer(0, 1, 1, 1), 0)


def compute(operator: int, name: str) -> Compute:
    return Compute(operator, Region(name, 0, 1, 0, 1), (AT,), AT)


def test_groups_are_numbered_as_they_run() -> None:
    maker = Maker(x=(1, 1, 1, 1))
    for name, source in (("a", "x"), ("b", "x"), ("c", "a"), ("free", "b"), ("d", "c")):
        maker.conv(name, source, 1)
    model = maker.model("d")
    constants = LoadConstants(2, Region("c", 0, 1, 0, 1), 0)
    groups = (
        Group((0, 2), (compute(0, "a"), constants, compute(2, "c"))),
        Group((1,), (compute(1, "b"),)),
        Group((4,), (), Workspace(0, 16)),
    )
    ordered, made = in_order(model, Plan(groups, {}, {}, 0, {3: frozenset({0})}))
    assert [operator.name for operator in ordered.operators] == ["a", "c", "b", "free", "d"]
    assert [group.members for group in made.groups] == [(0, 1), (2,), (4,)]
    actions = made.groups[0].actions
    numbers = [a.operator for a in actions if isinstance(a, Compute | LoadConstants)]
    assert numbers == [0, 1, 1]
    assert made.inside == {3: frozenset({0})}


def test_what_is_in_order_stays_as_it_is() -> None:
    maker = Maker(x=(1, 1, 1, 1))
    maker.conv("a", "x", 1)
    maker.conv("b", "a", 1)
    model = maker.model("b")
    plan = Plan((Group((1,), (compute(1, "b"),)),), {})
    assert in_order(model, plan) == (model, plan)
