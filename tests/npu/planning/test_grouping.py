"""What is executed together."""

from __future__ import annotations

from dataclasses import replace

from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.npu.planning.grouping import Bundle, bundles
from modelbuild.npu.planning.views import share
from tests.npu.small_models import Maker


def groups(model: FixedModel) -> list[Bundle]:
    return list(bundles(model, share(model)))


def members(model: FixedModel) -> list[tuple[int, ...]]:
    return [bundle.members for bundle in groups(model)]


def test_a_residual_block_is_two_groups() -> None:
    maker = Maker(x=(1, 4, 8, 8))
    maker.conv("a", "x", 4, 3, 1, 1)
    maker.table("b", "a")
    maker.conv("c", "b", 4, 3, 1, 1)
    maker.plus("d", "c", "x")
    maker.pool("e", "d", 2, 2)
    found = groups(maker.model("e"))
    assert [bundle.members for bundle in found] == [(0, 1), (2, 3, 4)]
    assert found[1].reads == ("b", "x") and found[1].writes == ("e",) and found[1].banded


def test_a_map_by_a_function_of_it_is_one_group() -> None:
    maker = Maker(x=(1, 4, 8, 8))
    maker.conv("a", "x", 4)
    maker.table("gate", "a")
    maker.plus("y", "a", "gate", "multiply")
    assert members(maker.model("y")) == [(0, 1, 2)]


def test_a_map_with_two_readers_ends_a_group() -> None:
    maker = Maker(x=(1, 4, 8, 8))
    maker.conv("a", "x", 4)
    maker.table("b", "a")
    maker.pool("c", "a", 2, 2)
    assert members(maker.model("b", "c")) == [(0,), (1,), (2,)]
    maker = Maker(x=(1, 4, 8, 8))
    maker.conv("a", "x", 4)
    maker.table("b", "a")
    assert members(maker.model("a", "b")) == [(0,), (1,)]


def test_an_operand_must_be_there_before_the_head() -> None:
    maker = Maker(x=(1, 4, 8, 8))
    maker.conv("a", "x", 4)
    maker.conv("b", "x", 4)
    maker.table("late", "a")
    maker.plus("y", "b", "late")
    assert members(maker.model("y")) == [(0, 2), (1,), (3,)] or members(maker.model("y")) == [(0, 2), (1, 3)]
    maker = Maker(x=(1, 4, 8, 8))
    maker.conv("a", "x", 4)
    maker.conv("b", "x", 4)
    maker.plus("y", "a", "b")
    assert members(maker.model("y")) == [(0,), (1, 2)]


def test_a_gate_of_one_cell_does_not_take_its_map_along() -> None:
    maker = Maker(x=(1, 4, 8, 8))
    maker.conv("a", "x", 4)
    maker.pool("mean", "a", 8, 8)
    maker.conv("gate", "mean", 4)
    maker.plus("y", "a", "gate", "multiply")
    assert members(maker.model("y")) == [(0,), (1,), (2,), (3,)]


def test_the_host_and_operators_with_a_loop_of_their_own_stay_alone() -> None:
    maker = Maker(x=(1, 4, 8, 8))
    maker.conv("a", "x", 4)
    maker.add("transpose", "b", ["a"], (1, 8, 4, 8), perm=(0, 2, 1, 3))
    maker.table("c", "b")
    found = groups(maker.model("c"))
    assert [(bundle.members, bundle.banded) for bundle in found] == [
        ((0,), True),
        ((1,), False),
        ((2,), True),
    ]
    model = maker.model("c")
    host = replace(model, operators=tuple(replace(operator, unit="cpu") for operator in model.operators))
    assert not any(bundle.banded for bundle in groups(host))


def test_a_part_in_another_scale_is_left_by_its_maker() -> None:
    maker = Maker(x=(1, 4, 8, 8))
    maker.conv("a", "x", 4)
    maker.pool("down", "a", 2, 2)
    maker.rescale("part", "a")
    maker.conv("b", "x", 2)
    maker.concat("joined", ["part", "b"])
    maker.conv("y", "joined", 2)
    found = groups(maker.model("y", "down"))
    assert [bundle.members for bundle in found] == [(0, 2), (1,), (3,), (5,)]
    assert found[0].writes == ("a", "part")


def test_images_are_blocks() -> None:
    maker = Maker(x=(3, 4, 8, 8), gate=(3, 1, 1, 1))
    maker.conv("a", "x", 4)
    maker.plus("y", "a", "gate", "multiply")
    (bundle,) = groups(maker.model("y"))
    assert bundle.members == (0, 1) and bundle.blocks == 3
