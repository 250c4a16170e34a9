"""Lifetimes of feature maps, their peak, and which of them stay on the chip."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from modelbuild.npu.layers import Layer, Work
from modelbuild.npu.residency import Lifetime, lifetimes, peak, resident


def layer(name: str, reads: tuple[str, ...], writes: tuple[str, ...], unit: str = "npu") -> Layer:
    return Layer(name, "Conv", (name,), unit, Work("window"), reads, writes, 0)


CHAIN = (
    layer("a", ("x",), ("t0",)),
    layer("b", ("t0",), ("t1",)),
    layer("c", ("t1", "t0"), ("y",)),
)
SIZES = {"x": 10, "t0": 20, "t1": 30, "y": 5}


def test_lifetimes_and_peak() -> None:
    lives = lifetimes(CHAIN, ["x"], ["y"])
    assert lives == {"x": Lifetime(0, 0), "t0": Lifetime(0, 2), "t1": Lifetime(1, 2), "y": Lifetime(2, 2)}
    assert peak(lives, SIZES, 3) == 20 + 30 + 5


def test_what_stays_on_the_chip() -> None:
    lives = lifetimes(CHAIN, ["x"], ["y"])
    border = ("x", "y")
    assert resident(CHAIN, lives, SIZES, border, 50) == {"t0", "t1"}
    assert resident(CHAIN, lives, SIZES, border, 49) == {"t0"}
    assert resident(CHAIN, lives, SIZES, border, 19) == frozenset()


def test_what_the_cpu_touches_goes_through_dram() -> None:
    mixed = (CHAIN[0], layer("b", ("t0",), ("t1",), "cpu"), CHAIN[2])
    assert resident(mixed, lifetimes(mixed, ["x"], ["y"]), SIZES, ("x", "y"), 1000) == frozenset()


@given(st.lists(st.integers(1, 40), min_size=2, max_size=12), st.integers(0, 120))
def test_residents_never_exceed_the_capacity(sizes: list[int], capacity: int) -> None:
    names = [f"t{index}" for index in range(len(sizes))]
    chain = tuple(
        layer(name, (names[max(index - 3, 0)], names[index]), (names[index + 1],))
        for index, name in enumerate(names[:-1])
    )
    by_name = dict(zip(names, sizes, strict=True))
    lives = lifetimes(chain, names[:1], names[-1:])
    kept = resident(chain, lives, by_name, (names[0], names[-1]), capacity)
    for index in range(len(chain)):
        assert (
            sum(by_name[name] for name in kept if lives[name].first <= index <= lives[name].last) <= capacity
        )
