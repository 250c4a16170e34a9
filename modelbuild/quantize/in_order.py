"""Work on several samples at once, whose results come in the order of the samples."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

AT_ONCE = 2  # a fixed number, so that memory does not depend on the machine


def in_order(
    work: Callable[[int, Item], Result], items: Iterable[Item], at_once: int = AT_ONCE
) -> Iterator[Result]:
    """`work(number, item)` of each item, at most `at_once` of them in threads at a time.

    Takes no more items ahead than that and one, and raises what the first item that fails raises.
    """
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(at_once) as pool:
        try:
            for number, item in enumerate(items):
                waiting.append(pool.submit(work, number, item))
                if len(waiting) > at_once:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
