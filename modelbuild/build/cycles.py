"""Python's search for cycles of garbage, which looks at all there is whenever much is made that lasts."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

SELDOM = 50_000  # objects; 700 is Python's own, and each import of a module makes some hundred


@contextmanager
def seldom() -> Iterator[None]:
    """Lets more be made before each search, for what makes few cycles and need not be short."""
    thresholds = gc.get_threshold()
    gc.set_threshold(SELDOM, *thresholds[1:])
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)


@contextmanager
def not_sought() -> Iterator[None]:
    """Puts the search off, for what makes no cycles and is short."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
