"""Which maps lie whole in DRAM, by what groups store."""

from __future__ import annotations

from modelbuild.npu.emitting.whereabouts import maps_in_dram
from modelbuild.npu.planning.plan import Buffer, Group, Operand, Plan, Region, Store, View, Workspace
from tests.npu.small_models import Maker

AT = Operand(Buffer(0, 4, 6, 6), 0)


def store(name: str, planes: int, row: int, rows: int) -> Store:
    return Store(Region(name, 0, planes, row, rows), AT)


def test_all_rows_or_none() -> None:
    maker = Maker(x=(1, 4, 6, 6))
    for name, source in (("a", "x"), ("b", "a"), ("c", "b"), ("d", "c")):
        maker.conv(name, source, 4)
    model = maker.model("d")
    groups = (
        Group((0, 1), (store("b", 4, 0, 4), store("b", 4, 4, 2))),
        Group((2,), (store("c", 4, 0, 5),)),
        Group((3,), (), Workspace(0, 100)),
    )
    dram = {"x": 0, "b": 144, "c": 288, "d": 432}
    assert maps_in_dram(model, Plan(groups, {}, dram)) == {"x": 0, "b": 144, "d": 432}


def test_a_whole_is_there_when_all_its_parts_are() -> None:
    maker = Maker(x=(1, 4, 6, 6))
    maker.conv("a", "x", 4)
    maker.conv("b", "x", 4)
    maker.tensor("ab", (1, 8, 6, 6))
    model = maker.model("b")
    views = {"a": View("ab", 0), "b": View("ab", 144)}
    parts = [store("a", 4, 0, 6), store("b", 4, 0, 6)]
    dram = {"x": 0, "ab": 144}
    whole = Plan((Group((0, 1), tuple(parts)),), views, dram)
    assert maps_in_dram(model, whole) == {"x": 0, "a": 144, "b": 288, "ab": 144}
    half = Plan((Group((0, 1), tuple(parts[1:])),), views, dram)
    assert maps_in_dram(model, half) == {"x": 0, "b": 288}
