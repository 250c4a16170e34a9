"""Which tensors share memory, and which must not."""

from __future__ import annotations

from modelbuild.npu.planning.plan import View
from modelbuild.npu.planning.views import share
from tests.npu.small_models import Maker


def test_a_reshape_is_its_input_unless_two_borders_would_be_one() -> None:
    maker = Maker(x=(1, 2, 3, 4))
    maker.reshape("flat", "x", (1, 24))
    maker.reshape("out", "flat", (24,))
    shared = share(maker.model("out"))
    assert shared.view["flat"] == View("x", 0) and shared.view["out"] == View("out", 0)
    assert shared.free == {0}


def test_parts_of_a_concat_are_made_where_they_end_up() -> None:
    maker = Maker(x=(1, 2, 3, 4))
    maker.conv("a", "x", 3)
    maker.conv("b", "x", 5)
    maker.reshape("c", "b", (1, 5, 4, 3))
    maker.concat("inner", ["a", "b"])
    maker.conv("d", "inner", 1)
    maker.concat("outer", ["d", "inner"])
    maker.conv("out", "outer", 1)
    shared = share(maker.model("out"))
    assert shared.view["d"] == View("outer", 0)
    assert shared.view["inner"] == View("outer", 12) == shared.view["a"]
    assert shared.view["b"] == View("outer", 12 + 36) == shared.view["c"]
    assert shared.free == {2, 3, 5} and shared.inside == {3: {0, 1}, 5: {0, 1}}


def test_what_cannot_be_made_in_place_is_copied() -> None:
    maker = Maker(x=(1, 2, 3, 4))
    maker.conv("a", "x", 2)
    maker.conv("b", "x", 2)
    maker.conv("out", "x", 2)
    maker.concat("joined", ["a", "a", "x", "out", "b"], multipliers=(1, 1, 1, 1, 3))
    maker.conv("end", "joined", 1)
    maker.slice("piece", "b", (0, 1, 0, 0), (1, 2, 3, 4))
    maker.concat("pieces", ["piece", "b"])
    maker.conv("last", "pieces", 1)
    shared = share(maker.model("out", "end", "last"))
    assert shared.inside[3] == {0}  # twice the same, an input, an output, another scale
    assert shared.view["piece"] == View("pieces", 12 + 12)
    assert shared.inside[6] == {1} and 6 not in shared.free  # a piece of another map


def test_parts_of_several_images_lie_apart() -> None:
    maker = Maker(x=(2, 2, 3, 4))
    maker.conv("a", "x", 2)
    maker.conv("b", "x", 2)
    maker.concat("joined", ["a", "b"])
    maker.conv("out", "joined", 2)
    shared = share(maker.model("out"))
    assert not shared.views and shared.inside == {2: frozenset()}


def test_only_contiguous_slices_are_read_in_place() -> None:
    maker = Maker(x=(1, 4, 3, 4))
    maker.conv("a", "x", 4)
    maker.slice("channels", "a", (0, 1, 0, 0), (1, 3, 3, 4))
    maker.slice("rows", "a", (0, 0, 1, 0), (1, 4, 2, 4))
    maker.slice("one", "channels", (0, 1, 2, 0), (1, 2, 3, 4))
    maker.slice("output", "a", (0, 1, 0, 0), (1, 3, 3, 4))
    maker.conv("out", "one", 1)
    maker.conv("out2", "rows", 1)
    shared = share(maker.model("out", "out2", "output"))
    assert shared.view["channels"] == View("a", 12) and shared.view["one"] == View("a", 12 + 12 + 8)
    assert {name for name in ("rows", "output") if name in shared.views} == set()
