"""Work done beside the caller keeps its order and loses no error."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from modelbuild.graph.alongside import together


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

    for number, square in enumerate(together(items(), work, 2)):
        assert square == number * number
        assert len(made) <= number + 3


def test_what_one_of_two_raises_comes_in_its_turn() -> None:
    def work(item: int) -> int:
        if item == 2:
            raise ValueError("bad")
        return item

    seen: list[int] = []
    with pytest.raises(ValueError, match="bad"):
        for item in together(range(9), work, 2):
            seen += [item]
    assert seen == [0, 1]


def test_results_wait_while_the_caller_is_busy_and_no_more_than_that() -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for number in range(12):
            made.append(number)
            yield number

    for number, item in enumerate(together(items(), lambda item: item, 2, ahead=3)):
        assert item == number
        assert len(made) == min(number + 6, 12)  # two in work, three that wait, and this one
