"""What needs no order among samples, done beside each other.

Sessions that run in other threads keep their memory (`FloatSession(many=Many())`): glibc's malloc gives
pages back after each run there, and having them again takes as long as the run.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def together(
    items: Iterable[Item], work: Callable[[Item], Result], threads: int, ahead: int = 0
) -> Iterator[Result]:
    """`work(item)` of each item, in order, so many at a time; the caller's thread makes the items. `ahead`
    results more may wait while the caller is busy with one.

    What `work` raises comes in its turn; what making an item raises, at once.
    """
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[Result]] = deque()
        for item in items:
            waiting.append(pool.submit(work, item))
            del item
            if len(waiting) > threads + ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
