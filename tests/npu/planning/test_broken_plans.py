"""A plan that is wrong in one place is noticed: by the emitter, by the simulator, or in the integers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from modelbuild.arithmetic.multiplier_shift import run
from modelbuild.errors import ModelbuildError
from modelbuild.npu import compiler
from modelbuild.npu.compiler import compile_model
from modelbuild.npu.planning.plan import Action, Compute, Load, LoadConstants, Plan, Store
from modelbuild.npu.planning.planner import plan
from modelbuild.npu.simulator import simulate
from tests.npu.strategies import network, random_inputs, recipe

Actions = list[Action]
MODEL = network(0)
INPUTS = random_inputs(MODEL, 0)
SRAM = 1 << 12


def first(actions: Actions, kind: type[Action]) -> int:
    return next(index for index, action in enumerate(actions) if isinstance(action, kind))


def without(kind: type[Action]) -> Callable[[Actions], Actions]:
    def broken(actions: Actions) -> Actions:
        index = first(actions, kind)
        return actions[:index] + actions[index + 1 :]

    return broken


def twice(kind: type[Action]) -> Callable[[Actions], Actions]:
    def broken(actions: Actions) -> Actions:
        index = first(actions, kind)
        return [*actions[: index + 1], *actions[index:]]

    return broken


def too_early(actions: Actions) -> Actions:
    index = first(actions, Compute)
    return [actions[index], *actions[:index], *actions[index + 1 :]]


def elsewhere(actions: Actions) -> Actions:
    """The first tile writes 16 bytes further on."""
    index = first(actions, Compute)
    tile = actions[index]
    assert isinstance(tile, Compute)
    buffer = replace(tile.output.buffer, address=tile.output.buffer.address + 16)
    return [
        *actions[:index],
        replace(tile, output=replace(tile.output, buffer=buffer)),
        *actions[index + 1 :],
    ]


def another_row(actions: Actions) -> Actions:
    """The first load begins a row further down."""
    index = first(actions, Load)
    load = actions[index]
    assert isinstance(load, Load) and load.region.rows > 1
    region = replace(load.region, row=load.region.row + 1, rows=load.region.rows - 1)
    return [*actions[:index], replace(load, region=region), *actions[index + 1 :]]


BROKEN: dict[str, Callable[[Actions], Actions]] = {
    "no load": without(Load),
    "no constants": without(LoadConstants),
    "no tile": without(Compute),
    "no store": without(Store),
    "two loads": twice(Load),
    "two stores": twice(Store),
    "a tile before its loads": too_early,
    "an address": elsewhere,
    "a row": another_row,
}


@pytest.mark.parametrize("how", [None, *BROKEN])
def test_what_is_wrong_is_noticed(how: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    def planned(*arguments: Any, **options: Any) -> Plan:
        found = plan(*arguments, **options)
        head, *others = found.groups
        actions = list(head.actions)
        broken = BROKEN[how](actions) if how else actions
        return replace(found, groups=(replace(head, actions=tuple(broken)), *others))

    monkeypatch.setattr(compiler, "plan", planned)
    expected = run(MODEL, INPUTS)
    try:
        program = compile_model(MODEL, recipe(), {"sram_bytes": SRAM})
        found = simulate(program.command, program.weights, program.host, INPUTS).outputs
    except (ModelbuildError, AssertionError, KeyError):
        right = False
    else:
        right = all(np.array_equal(found[name], expected[name]) for name in expected)
    assert right == (how is None)
