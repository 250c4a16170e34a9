"""A plan that is wrong in one place is noticed for what it is: by the translator, or by the simulator."""

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


NEVER_WRITTEN = r"instruction \d+ \({}\): read of bytes of {} that were never written"
# What is wrong -> how, and what is said of it.
BROKEN: dict[str, tuple[Callable[[Actions], Actions], str]] = {
    "no load": (without(Load), NEVER_WRITTEN.format("Convolution", "SRAM")),
    "no constants": (without(LoadConstants), "the plan computes with constants that are not there"),
    "no tile": (without(Compute), NEVER_WRITTEN.format("Store", "SRAM")),
    "no store": (without(Store), NEVER_WRITTEN.format("Load", "DRAM")),
    "two loads": (twice(Load), r"\(Load\): bytes of SRAM are written over before anything has read them"),
    "two stores": (twice(Store), r"\(Store\): a group writes bytes of DRAM twice"),
    "a tile before its loads": (too_early, "the plan computes with constants that are not there"),
    "an address": (elsewhere, NEVER_WRITTEN.format("Store", "SRAM")),
    "a row": (another_row, NEVER_WRITTEN.format("Convolution", "SRAM")),
}


def outputs(monkeypatch: pytest.MonkeyPatch, broken: Callable[[Actions], Actions]) -> dict[str, Any]:
    """What the program makes whose first group is `broken`."""

    def planned(*arguments: Any, **options: Any) -> Plan:
        found = plan(*arguments, **options)
        head, *others = found.groups
        return replace(found, groups=(replace(head, actions=tuple(broken(list(head.actions)))), *others))

    monkeypatch.setattr(compiler, "plan", planned)
    program = compile_model(MODEL, recipe(), {"sram_bytes": SRAM})
    return dict(simulate(program.command, program.weights, program.host, INPUTS).outputs)


def test_what_is_right_is_not_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    found = outputs(monkeypatch, list)
    for name, values in run(MODEL, INPUTS).items():
        np.testing.assert_array_equal(found[name], values)


@pytest.mark.parametrize("how", BROKEN)
def test_what_is_wrong_is_noticed(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    broken, said = BROKEN[how]
    with pytest.raises(ModelbuildError, match=said):
        outputs(monkeypatch, broken)
