"""The cells that a Slice keeps of an axis."""

from __future__ import annotations


def kept(start: int, end: int, step: int, size: int) -> range:
    """The cells of an axis of `size` that a Slice keeps, by ONNX's rule: bounds below 0 count from the end,
    and are limited to the axis; backwards, -1 after that is before the first cell."""
    start, end = (bound + size if bound < 0 else bound for bound in (start, end))
    low, high = (0, size) if step > 0 else (-1, size - 1)
    first = min(max(start, 0), high)
    return range(first, min(max(end, low), high), step)
