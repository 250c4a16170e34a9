"""Deep plans: what is streamed together, what stays, and that estimates are what plans then need."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.npu.planning.cutting import Limits, needed
from modelbuild.npu.planning.deep import deepened, last_uses
from modelbuild.npu.planning.does_not_fit import DoesNotFit
from modelbuild.npu.planning.grouping import bundles
from modelbuild.npu.planning.merging import Merging
from modelbuild.npu.planning.order import ends_first, reordered
from modelbuild.npu.planning.plan import Compute
from modelbuild.npu.planning.planner import plan
from modelbuild.npu.planning.runs import Runs
from modelbuild.npu.planning.streams import Streams, Tiling
from modelbuild.npu.planning.views import share
from modelbuild.npu.rewriting import rewritten
from tests.hypotheses import examples
from tests.npu.planning.check_plan import check_plan
from tests.npu.planning.test_planner import bytes_moved
from tests.npu.small_models import Maker
from tests.npu.strategies import grown, seeds


def merging_of(model: FixedModel) -> Merging:
    shared = share(model)
    return Merging(model, shared, bundles(model, shared))


def two_branches() -> FixedModel:
    """A skip connection around two convolutions, into a concat."""
    maker = Maker(x=(1, 4, 32, 16))
    maker.conv("a", "x", 8, 3, 1, 1)
    maker.conv("b", "a", 8, 3, 1, 1)
    maker.conv("c", "b", 8, 3, 1, 1)
    maker.concat("joined", ["a", "c"])
    maker.conv("y", "joined", 4, 3, 2, 1)
    return maker.model("y")


def test_a_stream_of_rows_moves_everything_once() -> None:
    model = two_branches()
    made = plan(model, Limits(1 << 13), deep=True)
    check_plan(model, made, 1 << 13)
    weights = sum(count * (inputs * 9 + 9) for count, inputs in ((8, 4), (8, 8), (8, 8), (4, 16)))
    assert [group.members for group in made.groups] == [(0, 1, 2, 4)]
    assert bytes_moved(model, made) == {"read": 4 * 512, "write": 4 * 16 * 8, "constants": weights}
    assert set(made.dram) == {"x", "y"}
    assert sum(bytes_moved(model, plan(model, Limits(1 << 13))).values()) > 2 * (4 * 512 + weights)


def test_parts_of_a_concat_share_a_ring() -> None:
    model = two_branches()
    (group,) = plan(model, Limits(1 << 13), deep=True).groups
    outputs = {action.region.tensor: action.output for action in group.actions if isinstance(action, Compute)}
    assert outputs["a"].buffer == outputs["c"].buffer and outputs["a"].buffer.planes == 16
    assert (outputs["a"].plane, outputs["c"].plane) == (0, 8)
    assert outputs["a"].buffer.slots < 32


def test_a_map_stays_where_a_stream_cannot_pass() -> None:
    maker = Maker(x=(1, 16, 8, 8))
    maker.conv("a", "x", 64, 3, 1, 1)
    maker.conv("b", "a", 64, 3, 1, 1)
    maker.conv("c", "b", 64, 3, 1, 1)
    maker.plus("d", "c", "a")
    maker.conv("y", "d", 8, 3, 1, 1)
    model = maker.model("y")
    limits = Limits(26_000, tile_bytes=4096)  # three maps of 4096 bytes, weights of 37,000
    made = plan(model, limits, deep=True)
    check_plan(model, made, limits.sram_bytes)
    assert set(made.dram) == {"x", "y"} and len(made.groups) > 2
    assert {root for group in made.groups for root in group.kept} >= {"a", "b", "d"}


@examples(60)
@given(seed=seeds, engines=st.sampled_from([1, 4]))
def test_what_a_run_would_need_is_about_what_it_needs(seed: int, engines: int) -> None:
    model = rewritten(grown(seed))
    merging = merging_of(model)
    limits = Limits(1 << 24, engines=engines)
    streams = [Streams(model, group) if group.banded else None for group in merging.groups]
    for run in Runs(merging, streams, limits, last_uses(model, merging)):
        merged = merging.merged(merging.groups[run.first : run.last + 1])
        assert merged is not None
        if run.last == run.first:
            continue
        found = Streams(model, merged)
        rows = max((*found.source_rows.values(), *(stage.rows for stage in found.stages)))
        exact = needed(found, Tiling("parts", rows, ((0, found.planes),)), (), limits)
        estimate = run.constants + sum(run.rings.values())
        # A run is looked at in the steps of the tallest map that may follow: a row more or less.
        assert exact <= estimate + estimate // 4 + 64 and estimate <= 2 * exact + 4096


def test_a_run_is_cut_where_rows_would_be_left_out_or_the_host_comes_in() -> None:
    maker = Maker(x=(1, 4, 9, 9))
    maker.conv("a", "x", 4)
    maker.conv("b", "a", 4, 2, 2)  # leaves row 8 of a out
    maker.add("transpose", "c", ["b"], (1, 4, 4, 4), perm=(0, 1, 3, 2))
    maker.conv("d", "c", 4)
    maker.conv("y", "d", 4)
    model = maker.model("y")
    merging = merging_of(model)
    groups = merging.groups
    assert merging.merged(groups[:2]) is None and merging.merged(groups[1:3]) is None
    both = merging.merged(groups[3:])
    assert both is not None and both.members == (3, 4) and both.reads == ("c",)


def test_heads_are_executed_at_once() -> None:
    maker = Maker(x=(1, 4, 8, 8))
    maker.conv("a", "x", 4)
    maker.conv("b", "a", 4)
    maker.conv("c", "b", 4)
    maker.conv("head_a", "a", 2)
    maker.table("end_a", "head_a")
    maker.conv("head_c", "c", 2)
    model = maker.model("end_a", "head_c")
    order = ends_first(model)
    assert order == (0, 3, 4, 1, 2, 5)
    assert [operator.name for operator in reordered(model, order).operators[:3]] == ["a", "head_a", "end_a"]
    made = plan(model, Limits(1 << 16), deep=True)
    check_plan(model, made, 1 << 16)
    computes = [a for group in made.groups for a in group.actions if isinstance(a, Compute)]
    assert all(model.operators[a.operator].outputs[0] == a.region.tensor for a in computes)


def test_a_part_that_others_read_is_stored_before_its_concat_is_overwritten() -> None:
    """`y` could lie where `joined` does, if nobody read `joined` in DRAM."""
    maker = Maker(x=(1, 4, 8, 8))
    maker.add("transpose", "a", ["x"], (1, 4, 8, 8), perm=(0, 1, 3, 2))
    maker.rescale("b", "x")
    maker.concat("joined", ["a", "b"])
    maker.table("y", "joined")
    maker.add("transpose", "z", ["joined"], (1, 8, 8, 8), perm=(0, 1, 3, 2))
    model = maker.model("y", "z")
    made = plan(model, Limits(1 << 14), deep=True)
    assert [group.members for group in made.groups] == [(0,), (1, 3), (4,)]
    check_plan(model, made, 1 << 14)


def test_a_part_that_is_read_again_is_not_overwritten_with_its_concat() -> None:
    """`c` could lie where `joined` does, if `d` did not read a part of that later."""
    maker = Maker(x=(1, 4, 8, 8))
    maker.conv("a", "x", 4)
    maker.conv("b", "a", 4)
    maker.concat("joined", ["a", "b"])
    maker.table("c", "joined")
    maker.conv("y", "c", 2)
    maker.pool("d", "a", 2, 2)
    model = maker.model("y", "d")
    made = plan(model, Limits(1 << 14), deep=True)
    assert len(made.groups) == 1
    check_plan(model, made, 1 << 14)
    (group,) = made.groups
    tiles = {action.region.tensor: action for action in group.actions if isinstance(action, Compute)}
    assert tiles["c"].output.buffer != tiles["c"].inputs[0].buffer
    assert tiles["b"].output.buffer == tiles["a"].output.buffer


def test_a_group_that_is_cut_stays_before_those_that_read_it() -> None:
    """Of `a` and `b`, which do not fit together, `b` is made before `c` and `d`, which come first and read
    it."""
    maker = Maker(x=(2, 3, 10, 9))
    maker.table("a", "x")
    maker.table("o", "x")
    maker.conv("c", "o", 3, 3, 2)
    maker.table("b", "a")
    maker.pool("d", "b", 2, 1)
    maker.add("transpose", "e", ["b"], (2, 3, 9, 10), perm=(0, 1, 3, 2))
    model = maker.model("o", "c", "d", "e")
    cut = 0
    for sram in range(280, 700, 20):
        try:
            made = plan(model, Limits(sram), deep=True)
        except DoesNotFit:
            continue
        check_plan(model, made, sram)
        cut += [0] in [list(group.members) for group in made.groups]
    assert cut


@pytest.mark.parametrize("sram", [256, 400, 512, 700])
@pytest.mark.parametrize("engines", [1, 4])
@pytest.mark.parametrize("count", [40, pytest.param(100, marks=pytest.mark.long)])
def test_what_fits_the_default_fits_deep_tiling(sram: int, engines: int, count: int) -> None:
    """Where the tilings that move least do not fit, those of the default are looked at."""
    deep_needs = []
    for seed in range(count):
        model, limits = rewritten(grown(seed)), Limits(sram, tile_bytes=256, engines=engines)
        try:
            plan(model, limits)
        except DoesNotFit:
            with pytest.raises(DoesNotFit) as caught:
                plan(model, limits, deep=True)
            deep_needs.append(caught.value.needed)
        else:
            plan(model, limits, deep=True)
    assert not deep_needs or (sram < min(deep_needs) and max(deep_needs) < 1 << 20)


@examples(100)
@given(seed=seeds)
def test_an_order_respects_what_operators_wait_for(seed: int) -> None:
    model = grown(seed)
    order = ends_first(model)
    assert sorted(order) == list(range(len(model.operators)))
    there = {*model.inputs, *model.constants}
    for index in order:
        assert set(model.operators[index].inputs) <= there
        there.update(model.operators[index].outputs)


@pytest.mark.parametrize("sram", [1 << 12, 1 << 14, 1 << 16, 1 << 20])
def test_deep_moves_no_more_than_default(sram: int) -> None:
    """Not of every model: rows that a band leaves out are not looked at. `compile` holds both plans against
    each other (test_plan_properties.py)."""
    for model in (two_branches(), rewritten(grown(7)), rewritten(grown(11))):
        default, deep = (plan(model, Limits(sram), deep=value) for value in (False, True))
        assert sum(bytes_moved(model, deep).values()) <= sum(bytes_moved(model, default).values())


@pytest.mark.parametrize(("convolutions", "sram"), [(12, 48_000), (20, 48_000), (20, 1 << 16)])
def test_maps_stay_that_save_only_together(convolutions: int, sram: int) -> None:
    """Each map of a chain alone would keep a longer run from fitting; all of them fit."""
    maker = Maker(x=(1, 16, 32, 32))
    last = "x"
    for index in range(convolutions):
        last = maker.conv(f"c{index}", last, 16, 3, 1, 1)
    model = maker.model(last)
    made = plan(model, Limits(sram), deep=True)
    weights = convolutions * 16 * (16 * 9 + 9)
    assert bytes_moved(model, made) == {"read": 1 << 14, "write": 1 << 14, "constants": weights}


def test_the_search_depends_on_its_arguments_alone() -> None:
    model = two_branches()
    shared = share(model)
    groups = bundles(model, shared)
    found = [deepened(model, shared, groups, Limits(6000)) for _ in range(2)]
    assert found[0] == found[1] and found[0].bytes_moved > 0
