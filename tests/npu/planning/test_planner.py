"""Plans of random models are right at every size of SRAM; what the default rules promise."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.npu.batching import widen
from modelbuild.npu.planning.cutting import AGAIN, Limits
from modelbuild.npu.planning.does_not_fit import DoesNotFit
from modelbuild.npu.planning.forms import form
from modelbuild.npu.planning.plan import Compute, Load, LoadConstants, Plan, Store
from modelbuild.npu.planning.planner import plan
from modelbuild.npu.planning.weights import constant_size
from modelbuild.npu.rewriting import rewritten
from tests.hypotheses import examples
from tests.npu.planning.check_plan import check_plan
from tests.npu.small_models import Maker
from tests.npu.strategies import grown, seeds

limits = st.builds(
    Limits,
    sram_bytes=st.sampled_from([512, 1024, 2048, 4096, 1 << 14, 1 << 20]),
    tile_bytes=st.sampled_from([64, 256, 1024, 1 << 16]),
    engines=st.sampled_from([1, 4]),
    keeps_for_groups=st.sampled_from([0, 1, 2]),
    row_alignment=st.sampled_from([1, 16]),
    granule=st.sampled_from([16, 64, 1024]),
)


@examples(200)
@given(
    seed=seeds, bits=st.sampled_from([8, 8, 16]), found=limits, deep=st.booleans(), dedicated=st.booleans()
)
def test_plans_of_random_models_are_right(
    seed: int, bits: int, found: Limits, deep: bool, dedicated: bool
) -> None:
    model = rewritten(grown(seed, bits))
    try:
        made = plan(model, found, deep=deep, dedicated=dedicated)
    except DoesNotFit as error:
        assert error.needed > found.sram_bytes
        return
    check_plan(model, made, found.sram_bytes)
    assert made.sram_peak <= found.sram_bytes
    assert made == plan(model, found, deep=deep, dedicated=dedicated)


@examples(60)
@given(seed=seeds, found=limits)
def test_deep_plans_of_larger_models_are_right(seed: int, found: Limits) -> None:
    """Ways that join and part again: all of it on the NPU, where runs are long."""
    model = grown(seed, fewest=8, most=20)
    on_npu = tuple(replace(operator, unit="npu") for operator in model.operators)
    model = rewritten(replace(model, operators=on_npu))
    try:
        made = plan(model, found, deep=True)
    except DoesNotFit:
        return
    check_plan(model, made, found.sram_bytes)


def bytes_moved(model: FixedModel, made: Plan) -> dict[str, int]:
    """Bytes read, written, and of constants, in groups with actions."""
    total = dict.fromkeys(("read", "write", "constants"), 0)
    for action in (action for group in made.groups for action in group.actions):
        if isinstance(action, Load | Store):
            region = action.region
            size = region.planes * region.rows * form(model.tensors[region.tensor]).row_bytes
            total["read" if isinstance(action, Load) else "write"] += size
        elif isinstance(action, LoadConstants):
            total["constants"] += constant_size(model, model.operators[action.operator], action.region)
    return total


def test_what_fits_is_moved_once() -> None:
    maker = Maker(x=(1, 8, 16, 16))
    maker.conv("a", "x", 16, 3, 1, 1)
    maker.conv("b", "a", 16, 3, 2, 1)
    maker.conv("c", "b", 16, 3, 1, 1)
    maker.plus("y", "c", "b")
    model = maker.model("y")
    made = plan(model, Limits(1 << 16))
    weights = sum(16 * (inputs * 9 + 9) for inputs in (8, 16, 16)) + 9
    assert bytes_moved(model, made) == {"read": 8 * 256, "write": 16 * 64, "constants": weights}
    assert set(made.dram) == {"x", "y"} and made.maps is not None and made.maps.working == 0


def test_a_map_stays_for_the_next_group_only_unless_told_otherwise() -> None:
    maker = Maker(x=(1, 8, 16, 16))
    maker.conv("a", "x", 8)
    maker.conv("b", "a", 8)
    maker.conv("c", "b", 8)
    maker.plus("y", "c", "a")
    model = maker.model("y")
    assert set(plan(model, Limits(1 << 16)).dram) == {"x", "a", "y"}
    assert set(plan(model, Limits(1 << 16, keeps_for_groups=2)).dram) == {"x", "y"}
    assert set(plan(model, Limits(1 << 16, keeps_for_groups=0)).dram) == {"x", "y"}


@pytest.mark.parametrize("sram", [1 << 14, 1 << 15, 1 << 16])
@pytest.mark.parametrize(("channels", "size"), [(64, 16), (16, 64), (128, 8), (32, 32)])
def test_little_is_read_again(sram: int, channels: int, size: int) -> None:
    maker = Maker(x=(1, channels, size, size))
    maker.conv("y", "x", channels, 3, 1, 1)
    model = maker.model("y")
    made = plan(model, Limits(sram, tile_bytes=1 << 12))
    once = 2 * channels * size * size + channels * (channels * 9 + 9)
    moved = sum(bytes_moved(model, made).values())
    assert once <= moved <= (1 + AGAIN) * once or made.sram_peak > sram // 2


def test_bands_and_parts_shrink_until_they_fit() -> None:
    maker = Maker(x=(1, 16, 16, 16))
    maker.conv("y", "x", 16, 3, 1, 1)
    model = maker.model("y")
    peaks = []
    for sram in (1 << 14, 1 << 13, 1 << 12, 1 << 11, 1200):
        made = plan(model, Limits(sram))
        check_plan(model, made, sram)
        peaks.append(len(made.groups[0].actions))
    assert peaks == sorted(peaks) and peaks[0] < peaks[-1]
    with pytest.raises(DoesNotFit) as caught:
        plan(model, Limits(900))
    assert 900 < caught.value.needed <= 1200


def test_weights_wait_in_a_second_buffer_where_engines_work_at_once() -> None:
    maker = Maker(x=(1, 64, 4, 4))
    maker.conv("y", "x", 64, 3, 1, 1)
    model = maker.model("y")
    for engines, expected in ((1, 1), (4, 2)):
        made = plan(model, Limits(1 << 15, tile_bytes=1 << 12, engines=engines))
        addresses = {a.address for g in made.groups for a in g.actions if isinstance(a, LoadConstants)}
        assert len(addresses) == expected


def test_weights_stay_while_images_pass() -> None:
    maker = Maker(x=(4, 8, 8, 8))
    maker.conv("a", "x", 8, 3, 1, 1)
    maker.table("y", "a")
    model = maker.model("y")
    made = plan(model, Limits(1 << 16))
    computes = [a for g in made.groups for a in g.actions if isinstance(a, Compute)]
    assert bytes_moved(model, made)["constants"] == 8 * 81 + 256 and len(computes) == 8
    assert [compute.region.plane for compute in computes[::2]] == [0, 8, 16, 24]


@pytest.mark.parametrize("engines", [1, 4])
@pytest.mark.parametrize(
    ("sram", "fits"),
    [
        (1 << 15, True),  # the pictures beside a part of the weights
        (1 << 13, False),  # two pictures, no more
    ],
)
def test_pictures_stay_while_parts_of_the_weights_pass(sram: int, fits: bool, engines: int) -> None:
    maker = Maker(x=(8, 64, 7, 7))
    maker.conv("y", "x", 256, 1, 1, 0)
    model = maker.model("y")
    found = Limits(sram, tile_bytes=4096, engines=engines)
    plain, made = plan(model, found), plan(model, replace(found, over_batch=True))
    check_plan(model, made, sram)
    least = {"read": 8 * 64 * 49, "write": 8 * 256 * 49, "constants": 256 * (64 + 9)}
    assert bytes_moved(model, plain)["read"] >= 4 * least["read"]
    assert (made.over_batch, plain.over_batch) == (fits, False)
    assert bytes_moved(model, made) == (least if fits else bytes_moved(model, plain))


def test_one_picture_stays_where_all_do_not_fit() -> None:
    maker = Maker(x=(8, 32, 16, 16))
    maker.conv("y", "x", 64, 3, 1, 1)
    model, found = maker.model("y"), Limits(1 << 14, tile_bytes=4096)
    made, plain = (plan(model, replace(found, over_batch=it)) for it in (True, False))
    check_plan(model, made, found.sram_bytes)
    weights = 64 * (32 * 9 + 9)
    maps = {"read": 8 * 32 * 256, "write": 8 * 64 * 256}
    assert bytes_moved(model, made) == {**maps, "constants": 8 * weights}
    assert bytes_moved(model, plain) == {**maps, "read": 4 * maps["read"], "constants": weights}


@examples(80)
@given(seed=seeds, found=limits, count=st.integers(2, 5))
def test_plans_of_several_pictures_are_right(seed: int, found: Limits, count: int) -> None:
    model = rewritten(widen(grown(seed), count).model)
    try:
        made = plan(model, replace(found, over_batch=True))
    except DoesNotFit:
        with pytest.raises(DoesNotFit):
            plan(model, found)
        return
    check_plan(model, made, found.sram_bytes)
    assert made.over_batch or made == plan(model, found)


def test_a_group_that_does_not_fit_is_cut() -> None:
    maker = Maker(x=(1, 4, 32, 32))
    maker.conv("a", "x", 4, 3, 1, 1)
    maker.pool("y", "a", 32, 32)
    model = maker.model("y")
    assert [group.members for group in plan(model, Limits(1 << 16)).groups] == [(0, 1)]
    small = plan(model, Limits(1536))
    assert [group.members for group in small.groups] == [(0,), (1,)]
    check_plan(model, small, 1536)


def test_outputs_may_share_working_memory() -> None:
    maker = Maker(x=(1, 4, 16, 16))
    maker.conv("a", "x", 16)
    maker.conv("b", "a", 16)
    maker.conv("y", "b", 16)
    model = maker.model("y")
    apart, shared = (plan(model, Limits(2048), dedicated=value).maps for value in (True, False))
    assert apart is not None and shared is not None
    assert apart.size - shared.size == 16 * 256 and shared.output == 0
    assert math.prod(model.tensors["y"].shape) == 16 * 256
