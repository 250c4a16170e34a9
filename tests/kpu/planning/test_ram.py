"""Places in the KPU's RAM: nothing that lives at a time overlaps, and what must fit does."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from modelbuild.kpu.planning.ram import Held, held, placed

ROW = 64


@st.composite
def layers(draw: st.DrawFn) -> tuple[list[tuple[str, str]], dict[str, int]]:
    """Input and output of each layer, each reading any map that is there; sizes in rows."""
    count = draw(st.integers(1, 8))
    steps = [(f"m{draw(st.integers(0, number))}", f"m{number + 1}") for number in range(count)]
    steps[0] = ("m0", "m1")
    sizes = {f"m{number}": ROW * draw(st.integers(1, 30)) for number in range(count + 1)}
    return steps, sizes


def uploaded(source: str, steps: list[tuple[str, str]]) -> list[tuple[Sequence[str], str]]:
    """Operations: the upload, and the layers."""
    return [((), source), *(((read,), written) for read, written in steps)]


def most(steps: list[tuple[str, str]], sizes: dict[str, int]) -> int:
    """The bytes of the largest layer alone."""
    return max(sizes[read] + sizes[written] for read, written in steps)


def check(maps: tuple[Held, ...], places: list[int], room: int) -> None:
    for index, (item, place) in enumerate(zip(maps, places, strict=True)):
        assert place >= 0 and place % ROW == 0 and place + item.size <= room
        for other, begin in zip(maps[:index], places[:index], strict=True):
            together = item.first <= other.last and other.first <= item.last
            assert not together or place + item.size <= begin or begin + other.size <= place


@given(layers())
def test_maps_that_live_together_lie_apart(
    given_layers: tuple[list[tuple[str, str]], dict[str, int]],
) -> None:
    steps, sizes = given_layers
    maps = held(uploaded("m0", steps), sizes)
    assert {item.tensor for item in maps} == set(sizes)
    for room in (most(steps, sizes), sum(sizes.values())):
        places = placed(maps, dict(map(reversed, steps)), room)
        if places is not None:
            check(maps, places, room)
    assert places is not None


@given(st.lists(st.integers(1, 99), min_size=2, max_size=30))
def test_a_line_of_layers_fits_where_each_fits_alone(rows: list[int]) -> None:
    steps = [(f"m{number}", f"m{number + 1}") for number in range(len(rows) - 1)]
    sizes = {f"m{number}": ROW * count for number, count in enumerate(rows)}
    room = most(steps, sizes)
    places = placed(held(uploaded("m0", steps), sizes), dict(map(reversed, steps)), room)
    assert places is not None


def test_a_map_is_held_until_its_last_reader() -> None:
    steps = [("x", "a"), ("a", "b"), ("x", "c"), ("a", "d")]
    maps = held(uploaded("x", steps), dict.fromkeys("xabcd", 64))
    found = {item.tensor: (item.first, item.last) for item in maps}
    assert found == {"x": (0, 3), "a": (1, 4), "b": (2, 2), "c": (3, 3), "d": (4, 4)}
