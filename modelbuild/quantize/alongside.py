"""What needs no order among samples, done beside each other: reading before a model's runs, counting behind.

Runs whose large tensors leave onnxruntime stay in the calling thread: in another one, glibc's malloc gives
their pages back after each run, and having them again takes as long as the run.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from modelbuild.quantize.settings import THREADS

Item = TypeVar("Item")
Result = TypeVar("Result")


def ahead(items: Iterable[Item]) -> Iterator[Item]:
    """The items in their order; a thread makes the next one while the caller is at work on one."""
    end: Any = object()
    iterator = iter(items)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(next, iterator, end)
        while (item := waiting.result()) is not end:
            waiting = pool.submit(next, iterator, end)
            yield item


def behind(items: Iterable[Item], work: Callable[[Item], None]) -> None:
    """`work(item)` of each item, in order, in one thread, while the calling thread makes the next item.

    Raises what `work` raises, before the item after the next one is asked for.
    """
    with ThreadPoolExecutor(1) as pool:
        last: Future[None] | None = None
        for item in items:
            if last is not None:
                last.result()
            last = pool.submit(work, item)
            del item
        if last is not None:
            last.result()


def together(
    items: Iterable[Item], work: Callable[[Item], Result], threads: int = THREADS
) -> Iterator[Result]:
    """`work(item)` of each item, in order, so many at a time; the caller's thread makes the items.

    What `work` raises comes in its turn; what making an item raises, at once.
    """
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[Result]] = deque()
        for item in items:
            waiting.append(pool.submit(work, item))
            del item
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
