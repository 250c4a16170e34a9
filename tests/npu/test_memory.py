"""Feature maps in DRAM: each region in its place, nothing that lives together overlaps."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given

from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.npu.allocate import Lifetime, lower_bound
from modelbuild.npu.memory import ALIGNMENT, align, plan_feature_maps, tensor_bytes
from tests.npu.strategies import grown_models

REGIONS = ("input", "output", "working")


@given(grown_models())
def test_a_plan_holds_every_tensor_and_keeps_what_lives_together_apart(model: FixedModel) -> None:
    maps = plan_feature_maps(model)
    made = {name for operator in model.operators for name in operator.outputs}
    assert set(maps.address) == made | set(model.inputs)
    for placed in maps.placements:
        assert placed.address % ALIGNMENT == 0
        assert {maps.address[name] for name in placed.tensors} == {placed.address}
        assert all(align(tensor_bytes(model.tensors[name])) == placed.size for name in placed.tensors)
    for one, other in combinations(maps.placements, 2):
        # An input and an output are never anyone else's; the rest may share where lifetimes do not meet.
        alone = {one.region, other.region} != {"working"}
        if alone or (one.first <= other.last and other.first <= one.last):
            assert one.address + one.size <= other.address or other.address + other.size <= one.address
    ends = [maps.input, maps.input + maps.output, maps.size]
    for region, begin, end in zip(REGIONS, [0, *ends], ends, strict=False):
        found = [placed for placed in maps.placements if placed.region == region]
        assert all(begin <= placed.address and placed.address + placed.size <= end for placed in found)
        assert max((placed.address + placed.size for placed in found), default=begin) == end


@given(grown_models())
def test_small_models_need_no_more_working_memory_than_lives_at_once(model: FixedModel) -> None:
    maps = plan_feature_maps(model)
    working = [
        Lifetime(placed.size, placed.first, placed.last)
        for placed in maps.placements
        if placed.region == "working"
    ]
    assert maps.working <= 1.02 * lower_bound(working)
