"""The beam finds the order with the least memory live, where it is wide enough to hold them all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from hypothesis import given

from bench.orders import best_order
from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.npu.allocate import Lifetime, lower_bound
from modelbuild.npu.memory import plan_feature_maps
from tests.npu.strategies import grown_models


def live(model: FixedModel) -> int:
    placed = plan_feature_maps(model).placements
    return lower_bound([Lifetime(it.size, it.first, it.last) for it in placed if it.region == "working"])


def orders(model: FixedModel, done: tuple[int, ...] = ()) -> Iterator[FixedModel]:
    """Every order in which each operator follows what it reads."""
    if len(done) == len(model.operators):
        yield replace(model, operators=tuple(model.operators[index] for index in done))
    made = {name for operator in model.operators for name in operator.outputs}
    have = {name for index in done for name in model.operators[index].outputs}
    for index, operator in enumerate(model.operators):
        if index not in done and not made & set(operator.inputs) - have:
            yield from orders(model, (*done, index))


@given(grown_models())
def test_no_order_has_less_live(model: FixedModel) -> None:
    if len(model.operators) > 6:
        model = best_order(model)  # still has all of its operators, each behind what it reads
        ready = {*model.inputs, *model.constants}
        for operator in model.operators:
            assert set(operator.inputs) <= ready
            ready |= set(operator.outputs)
        return
    assert live(best_order(model, 1000)) == min(live(each) for each in orders(model))
