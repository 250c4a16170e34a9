"""What grows waits for its reader; everything is still computed before it is read."""

from __future__ import annotations

from modelbuild.kpu.planning.order import late
from tests.kpu.emitting.making import Maker
from tests.kpu.emitting.random_models import random_model
from tests.kpu.emitting.running import compiled


def test_what_grows_is_made_when_it_is_read() -> None:
    maker = Maker(1)
    x = maker.layer(maker.given((1, 4, 16, 16)), 4, pool="bypass")
    wide = maker.dequantize(x)
    y = maker.layer(maker.lookup(x), 4, pool="bypass")
    total = maker.binary("add", wide, maker.dequantize(y))
    model = maker.model([maker.quantize(total)])
    kinds = [operator.kind for operator in late(model).operators]
    assert kinds == ["kpu_conv", "lookup", "kpu_conv", "dequantize", "dequantize", "binary", "quantize"]
    # Two maps of floats, and nothing else at that time but the bytes of the second.
    assert compiled(model).memory.sizes.working == 2 * 4096 + 1024


def test_operators_stay_behind_what_they_read() -> None:
    moved = 0
    for seed in range(60):
        _, model = random_model(seed)
        found = late(model)
        assert sorted(operator.name for operator in found.operators) == sorted(
            operator.name for operator in model.operators
        )
        moved += found.operators != model.operators
        known = {*model.inputs, *model.constants}
        for operator in found.operators:
            assert known.issuperset(operator.inputs)
            known.update(operator.outputs)
    assert moved > 10
