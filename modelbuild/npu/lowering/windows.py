"""Which rows of a picture the rows of an output look at through windows."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RowWindow:
    """Windows along the rows. Between neighbouring rows of the picture lie `step` - 1 rows of zeros, and
    `pad` rows above the first."""

    kernel: int
    stride: int
    dilation: int
    pad: int
    height: int
    step: int = 1

    def span(self, rows: int) -> int:
        """Rows, stepped and padded, that `rows` rows of output look at."""
        return (rows - 1) * self.stride + (self.kernel - 1) * self.dilation + 1

    def rows(self, first: int, count: int) -> tuple[int, int, int]:
        """(low, high) of the picture's rows under output rows, and the padding above the first of them."""
        top = first * self.stride - self.pad
        span = self.span(count)
        low = min(max(0, -(-top // self.step)), self.height)
        high = max(low, min(self.height, (top + span - 1) // self.step + 1))
        return low, high, min(low * self.step - top, span)
