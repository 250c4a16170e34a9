"""Feature maps in DRAM: each region in its place, nothing that lives together overlaps."""

from __future__ import annotations

from itertools import combinations

from hypothesis import assume, given
from hypothesis import strategies as st

from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.npu.planning.allocate import Lifetime, lower_bound
from modelbuild.npu.planning.cutting import Limits
from modelbuild.npu.planning.does_not_fit import DoesNotFit
from modelbuild.npu.planning.memory import ALIGNMENT, FeatureMaps, Stretch, align, place_maps
from modelbuild.npu.planning.planner import plan
from modelbuild.npu.planning.views import share, size_of
from modelbuild.npu.rewriting import rewritten
from tests.npu.strategies import grown_models

REGIONS = ("input", "output", "working")


def maps_of(model: FixedModel, sram: int) -> FeatureMaps:
    try:
        found = plan(model, Limits(sram)).maps
    except DoesNotFit:
        assume(False)
        raise
    assert found is not None
    return found


@given(grown_models(), st.sampled_from([1024, 4096, 1 << 20]))
def test_a_plan_holds_every_tensor_and_keeps_what_lives_together_apart(model: FixedModel, sram: int) -> None:
    model = rewritten(model)
    maps = maps_of(model, sram)
    views = share(model).view
    assert {*model.inputs, *model.outputs} <= set(maps.address)
    for placed in maps.placements:
        assert placed.address % ALIGNMENT == 0
        for name in placed.tensors:
            assert maps.address[name] == placed.address + views[name].offset
            assert views[name].offset + size_of(model, name) <= placed.size
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
    maps = maps_of(rewritten(model), 2048)
    working = [
        Lifetime(placed.size, placed.first, placed.last)
        for placed in maps.placements
        if placed.region == "working"
    ]
    assert maps.working <= 1.02 * lower_bound(working)


def test_an_output_may_lie_where_something_was() -> None:
    stretches = [
        Stretch(("x",), align(100), -1, 0),
        Stretch(("a", "b"), align(1000), 0, 1),
        Stretch(("y",), align(500), 2, 3),
    ]
    apart = place_maps(("x",), ("y",), stretches)
    assert (apart.input, apart.output, apart.working) == (112, 512, 1008)
    assert apart.address == {"x": 0, "y": 112, "a": 624, "b": 624}
    shared = place_maps(("x",), ("y",), stretches, dedicated=False)
    assert (shared.input, shared.output, shared.working) == (112, 0, 1008)
    assert shared.address["y"] == shared.address["a"] == 112
