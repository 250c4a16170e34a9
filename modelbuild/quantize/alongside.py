"""What needs no order among samples, done beside the runs of a model: reading before them, counting behind.

Runs stay in the calling thread: in another one, glibc's malloc gives the pages of large tensors back after
each, and having them again takes as long as the run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

Item = TypeVar("Item")


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
