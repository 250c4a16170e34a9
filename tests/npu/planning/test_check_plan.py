"""The checker of plans passes what the planner makes, and catches each kind of mistake in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.errors import ModelbuildError
from modelbuild.npu.planning.cutting import Limits
from modelbuild.npu.planning.plan import (
    Action,
    Compute,
    Group,
    Load,
    LoadConstants,
    Operand,
    Plan,
    Store,
    View,
)
from modelbuild.npu.planning.planner import plan
from tests.npu.planning.check_plan import check_plan
from tests.npu.small_models import Maker

SRAM = 2304


def small() -> FixedModel:
    """Groups that are cut into bands, a map that is kept, parts of a concat, a loop of its own."""
    maker = Maker(x=(1, 4, 16, 16))
    maker.conv("a", "x", 8, 3, 1, 1)
    maker.table("b", "a")
    maker.conv("c", "b", 16, 3, 2, 1)
    maker.conv("d", "c", 4)
    maker.conv("e", "d", 4)
    maker.concat("joined", ["d", "e"])
    maker.conv("f", "joined", 4)
    maker.add("transpose", "g", ["f"], (1, 8, 4, 8), perm=(0, 2, 1, 3))
    maker.table("h", "g")
    return maker.model("h")


MODEL = small()
PLAN = plan(MODEL, Limits(SRAM, tile_bytes=512))


def test_the_plan_is_right_and_has_all_that_can_go_wrong() -> None:
    check_plan(MODEL, PLAN, SRAM)
    kinds = [type(action) for group in PLAN.groups for action in group.actions]
    assert all(kinds.count(kind) > 4 for kind in (Load, LoadConstants, Compute, Store))
    assert any(group.kept for group in PLAN.groups) and any(group.workspace for group in PLAN.groups)
    loads = [action for action in PLAN.groups[0].actions if isinstance(action, Load)]
    assert loads[0].to.buffer.slots < 16


def changed(group: int, index: int, change: Callable[[Any], Action | None]) -> Plan:
    """The plan with action `index` of a group changed, or left out."""
    actions = list(PLAN.groups[group].actions)
    found = change(actions[index])
    actions[index : index + 1] = [] if found is None else [found]
    return with_actions(group, actions)


def with_actions(group: int, actions: list[Action]) -> Plan:
    groups = list(PLAN.groups)
    groups[group] = replace(groups[group], actions=tuple(actions))
    return replace(PLAN, groups=tuple(groups))


def first(group: int, kind: type[Action], after: int = 0) -> int:
    """The first action of a kind, or one so many further on."""
    found = [i for i, action in enumerate(PLAN.groups[group].actions) if isinstance(action, kind)]
    return found[after]


def moved(operand: Operand, by: int) -> Operand:
    return replace(operand, buffer=replace(operand.buffer, address=operand.buffer.address + by))


def drop(_: Action) -> None:
    return None


def swapped() -> Plan:
    actions = list(PLAN.groups[0].actions)
    at = first(0, Compute)
    actions[at - 1], actions[at] = actions[at], actions[at - 1]
    return with_actions(0, actions)


def twice(kind: type[Action]) -> Plan:
    actions = list(PLAN.groups[0].actions)
    at = first(0, kind)
    return with_actions(0, [*actions[: at + 1], actions[at], *actions[at + 1 :]])


def shrunk_ring(action: Load) -> Load:
    return replace(
        action, to=replace(action.to, buffer=replace(action.to.buffer, slots=action.to.buffer.slots - 1))
    )


def overlapping_rings() -> Plan:
    """The output's buffer begins inside the input's."""
    actions = []
    for action in PLAN.groups[0].actions:
        if isinstance(action, Compute):
            inside = action.inputs[0].buffer.address - action.output.buffer.address + 16
            action = replace(action, output=moved(action.output, inside))
        actions.append(action)
    return with_actions(0, actions)


def shared_dram() -> Plan:
    return replace(PLAN, dram={**PLAN.dram, "g": PLAN.dram["f"]})


def reordered() -> Plan:
    first_group, second, *others = PLAN.groups
    return replace(PLAN, groups=(second, first_group, *others))


def other_view() -> Plan:
    return replace(PLAN, views={**PLAN.views, "e": View("joined", 0)})


def over_kept() -> Plan:
    """A workspace where something lies that is still to be read."""
    index = next(i for i, group in enumerate(PLAN.groups) if group.kept)
    spot = Group((), (), None)
    groups = list(PLAN.groups)
    host = next(group for group in groups if group.workspace)
    assert spot.members == () and host.workspace is not None
    wide = replace(host, workspace=replace(host.workspace, address=0, size=SRAM))
    groups.insert(index + 1, wide)
    return replace(PLAN, groups=tuple(groups))


BROKEN: dict[str, tuple[Callable[[], Plan], str]] = {
    "an address shifted": (
        lambda: changed(0, first(0, Load), lambda a: replace(a, to=moved(a.to, 16))),
        "is not there|overwrites",
    ),
    "a load dropped": (lambda: changed(0, first(0, Load, 1), drop), "is not there"),
    "constants dropped": (lambda: changed(0, first(0, LoadConstants), drop), "constants .* not there"),
    "a load behind its reader": (swapped, "not there"),
    "a store dropped": (lambda: changed(0, first(0, Store, -1), drop), "not read|loaded before"),
    "a compute dropped": (lambda: changed(0, first(0, Compute), drop), "not there|not read"),
    "stored twice": (lambda: twice(Store), "stored twice"),
    "computed twice": (lambda: twice(Compute), "computed twice"),
    "loaded twice": (lambda: twice(Load), "overwrites what was not read"),
    "a ring too small": (
        lambda: changed(0, first(0, Load, 1), shrunk_ring),
        "not there|overwrites|more rows",
    ),
    "rings that overlap": (overlapping_rings, "not there|overwrites"),
    "beyond SRAM": (
        lambda: changed(0, first(0, Load), lambda a: replace(a, to=moved(a.to, SRAM))),
        "not in SRAM",
    ),
    "two maps in one place of DRAM": (shared_dram, "writes over"),
    "a group before its source": (reordered, "before it is|not there"),
    "a part of a concat elsewhere": (other_view, "not there|computed twice|twice"),
    "a workspace over a map": (over_kept, "before it is|not read"),
}


@pytest.mark.parametrize("name", sorted(BROKEN))
def test_each_mistake_is_caught(name: str) -> None:
    make, message = BROKEN[name]
    with pytest.raises(ModelbuildError, match=message):
        check_plan(MODEL, make(), SRAM)


def test_a_plan_for_more_sram_is_refused() -> None:
    with pytest.raises(ModelbuildError, match="not in SRAM"):
        check_plan(MODEL, PLAN, PLAN.sram_peak - 1)


def test_a_row_that_is_never_computed_is_told() -> None:
    groups = tuple(replace(group, actions=()) if i == 0 else group for i, group in enumerate(PLAN.groups))
    with pytest.raises((ModelbuildError, ValueError)):
        check_plan(MODEL, replace(PLAN, groups=groups), SRAM)
