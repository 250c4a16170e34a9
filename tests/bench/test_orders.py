"""The beam finds the order with the least memory live, where it is wide enough to hold them all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from hypothesis import given

from bench.orders import best_order, working
from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.npu.planning.allocate import lower_bound
from modelbuild.npu.planning.plan import View
from modelbuild.npu.planning.views import share
from tests.npu.strategies import grown_models


def live(model: FixedModel, views: Mapping[str, View]) -> int:
    return lower_bound(working(model, views))


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
    views = share(model).view
    assert live(best_order(model, 1000), views) == min(live(each, views) for each in orders(model))
