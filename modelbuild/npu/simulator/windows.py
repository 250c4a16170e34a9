"""Which outputs of a sliding window see which inputs, without padding anything."""

from __future__ import annotations

import math
from collections.abc import Iterator


def overlap(
    outputs: int, inputs: int, stride: int, pad: int, reach: int, step: int = 1
) -> tuple[slice, slice] | None:
    """The outputs c whose cell c * stride - pad + reach is that of one of `inputs` cells, which lie `step`
    apart, and those cells."""
    offset = pad - reach  # c * stride - offset = step * k
    common = math.gcd(stride, step)
    if offset % common:
        return None
    period, advance = step // common, stride // common
    rest = (offset // common) * pow(advance, -1, period) % period if period > 1 else 0
    cell = (rest * stride - offset) // step
    skipped = max(0, -(cell // advance))
    first, start = rest + skipped * period, cell + skipped * advance
    count = min(-(-(outputs - first) // period), -(-(inputs - start) // advance))
    if count < 1:
        return None
    return (
        slice(first, first + (count - 1) * period + 1, period),
        slice(start, start + (count - 1) * advance + 1, advance),
    )


def looked_at(
    kernel: int, dilation: int, outputs: int, inputs: int, stride: int, pad: int, step: int = 1
) -> range:
    """The taps of one axis between the first and the last that may see a cell."""
    lowest = max(0, -(((outputs - 1) * stride - pad) // dilation))
    return range(lowest, min(kernel, ((inputs - 1) * step + pad) // dilation + 1))


def taps(
    kernel: int, dilation: int, outputs: int, inputs: int, stride: int, pad: int, step: int = 1
) -> Iterator[tuple[int, slice, slice]]:
    """(tap, outputs, inputs) of every tap of one axis of a kernel that sees a cell at all."""
    for tap in looked_at(kernel, dilation, outputs, inputs, stride, pad, step):
        found = overlap(outputs, inputs, stride, pad, tap * dilation, step)
        if found:
            yield tap, *found
