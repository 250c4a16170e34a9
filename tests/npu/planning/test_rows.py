"""Schedules of rows: each row once, nothing before its inputs, rings that hold what is needed and no more."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.npu.planning.forms import form
from modelbuild.npu.planning.grouping import Grouping
from modelbuild.npu.planning.rows import schedule, source_rows, stages
from modelbuild.npu.planning.views import share
from tests.hypotheses import examples
from tests.npu.small_models import Maker


def chain(height: int, layers: list[tuple[int, int, int]]) -> FixedModel:
    """Convolutions of (kernel, stride, pad), the last of them added to the first."""
    maker = Maker(x=(1, 1, height, 2))
    name = "x"
    for index, (kernel, stride, pad) in enumerate(layers):
        shape = maker.tensors[name].shape
        if shape[2] + 2 * pad < kernel or shape[3] + 2 * pad < kernel:
            break
        name = maker.conv(f"c{index}", name, 1, kernel, stride, pad)
        name = maker.plus(f"s{index}", name, maker.table(f"t{index}", name))
    return maker.model(name)


@examples(150)
@given(
    height=st.integers(1, 20),
    layers=st.lists(
        st.sampled_from([(1, 1, 0), (3, 1, 1), (3, 2, 1), (2, 2, 0), (3, 1, 2)]), min_size=1, max_size=4
    ),
    bands=st.integers(1, 20),
)
def test_every_row_is_computed_once_and_its_inputs_are_held(
    height: int, layers: list[tuple[int, int, int]], bands: int
) -> None:
    model = chain(height, layers)
    if not model.operators:
        return
    parts = stages(model, range(len(model.operators)))
    found = schedule(parts, source_rows(model, parts), bands)
    held: dict[str, set[int]] = {name: set() for name in found.slots}
    rings: dict[str, dict[int, int]] = {name: {} for name in found.slots}
    done = [0] * len(parts)

    def put(name: str, first: int, end: int) -> None:
        assert not held[name] & set(range(first, end))
        held[name] |= set(range(first, end))
        rings[name].update({row % found.slots[name]: row for row in range(first, end)})

    for step in found.steps:
        for name, first, end in step.loads:
            put(name, first, end)
        for index, first, end in step.computes:
            assert first == done[index] < end
            for name, reached in parts[index].inputs:
                low, high = reached.rows(first, end)
                for row in range(low, high):
                    assert rings[name][row % found.slots[name]] == row
            put(parts[index].output, first, end)
            done[index] = end
    assert done == [stage.rows for stage in parts]


def test_a_ring_holds_a_window_and_a_band() -> None:
    maker = Maker(x=(1, 1, 64, 8))
    maker.conv("a", "x", 1, 3, 1, 1)
    maker.conv("b", "a", 1, 3, 2, 1)
    model = maker.model("b")
    parts = stages(model, (0, 1))
    found = schedule(parts, source_rows(model, parts), 32)
    assert found.slots == {"x": 4, "a": 5, "b": 2} and len(found.steps) == 32
    assert found.halo == {"x", "a"}
    whole = schedule(parts, source_rows(model, parts), 1)
    assert whole.slots == {"x": 64, "a": 64, "b": 32} and not whole.halo


def test_rows_between_and_behind_the_windows_of_a_source_are_not_loaded() -> None:
    maker = Maker(x=(1, 1, 9, 9))
    maker.conv("a", "x", 1, 1, 4)
    maker.conv("last", "a", 1)
    model = maker.model("last")
    parts = stages(model, (0, 1))
    found = schedule(parts, source_rows(model, parts), 9)
    assert [load for step in found.steps for load in step.loads] == [("x", 0, 1), ("x", 4, 5), ("x", 8, 9)]


def test_what_leaves_rows_of_a_map_out_is_not_fused() -> None:
    maker = Maker(x=(1, 4, 9, 9))
    maker.conv("a", "x", 4)
    maker.pool("p", "a", 2, 2)
    maker.conv("b", "p", 4)
    maker.pool("q", "b", 2, 2)
    model = maker.model("q")
    grouping = Grouping(model, share(model))
    assert form(model.tensors["a"]).rows == 9 and grouping.fused() == {0: 0, 1: 1, 2: 2, 3: 2}
