"""Which outputs of a sliding window see which inputs, without padding anything."""

from __future__ import annotations

from collections.abc import Iterator


def overlap(outputs: int, inputs: int, stride: int, pad: int, reach: int) -> tuple[slice, slice] | None:
    """The outputs c whose cell c * stride - pad + reach is one of `inputs` cells, and those cells."""
    first = max(0, -((reach - pad) // stride))
    last = min(outputs, (inputs - 1 + pad - reach) // stride + 1)
    if last <= first:
        return None
    start = first * stride - pad + reach
    return slice(first, last), slice(start, start + (last - first - 1) * stride + 1, stride)


def taps(
    kernel: int, dilation: int, outputs: int, inputs: int, stride: int, pad: int
) -> Iterator[tuple[int, slice, slice]]:
    """(tap, outputs, inputs) of every tap of one axis of a kernel that sees a cell at all."""
    lowest = max(0, -(((outputs - 1) * stride - pad) // dilation))
    highest = min(kernel, (inputs - 1 + pad) // dilation + 1)
    for tap in range(lowest, highest):
        found = overlap(outputs, inputs, stride, pad, tap * dilation)
        if found:
            yield tap, *found
