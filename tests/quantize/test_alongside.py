"""Reading ahead and counting behind keep the order and lose no error."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from modelbuild.quantize.alongside import ahead, behind, together


def test_items_come_in_order_and_one_ahead() -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for number in range(20):
            made.append(number)
            yield number

    for number in ahead(items()):
        assert len(made) <= number + 2
    assert made == list(range(20))


def test_what_reading_raises_comes_after_the_items_before_it() -> None:
    def items() -> Iterator[int]:
        yield from (1, 2)
        raise ValueError("unreadable")

    seen: list[int] = []
    with pytest.raises(ValueError, match="unreadable"):
        for item in ahead(items()):
            seen += [item]
    assert seen == [1, 2]


def test_work_is_done_in_order_beside_the_caller() -> None:
    seen: list[tuple[int, bool]] = []
    caller = threading.get_ident()
    behind(range(50), lambda item: seen.append((item, threading.get_ident() != caller)))
    assert seen == [(number, True) for number in range(50)]


def test_what_work_raises_stops_the_items() -> None:
    made = []

    def items() -> Iterator[int]:
        for number in range(9):
            made.append(number)
            yield number

    def work(item: int) -> None:
        if item == 3:
            raise ValueError("bad")

    with pytest.raises(ValueError, match="bad"):
        behind(items(), work)
    assert made == [0, 1, 2, 3, 4]
    with pytest.raises(ValueError, match="bad"):
        behind([3], work)


def test_two_at_a_time_and_in_order() -> None:
    made: list[int] = []
    both = threading.Barrier(2, timeout=20)

    def items() -> Iterator[int]:
        for number in range(10):
            made.append(number)
            yield number

    def work(item: int) -> int:
        both.wait()  # passes only when two are at it
        return item * item

    for number, square in enumerate(together(items(), work)):
        assert square == number * number
        assert len(made) <= number + 3


def test_what_one_of_two_raises_comes_in_its_turn() -> None:
    def work(item: int) -> int:
        if item == 2:
            raise ValueError("bad")
        return item

    seen: list[int] = []
    with pytest.raises(ValueError, match="bad"):
        for item in together(range(9), work):
            seen += [item]
    assert seen == [0, 1]
