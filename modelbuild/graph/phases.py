"""A convolution of stride 2 as one of stride 1: cells of even and odd rows and columns are the four phases
of a map, and lie side by side as channels of a map of half the height and width."""

from __future__ import annotations

from modelbuild.graph.model import Shape
from modelbuild.graph.taps import Window

PHASES = 2  # along each axis


def phased(shape: Shape, window: Window) -> tuple[Shape, Window]:
    """The map of phases [N, 4 C, H / 2, W / 2], and the window on it; uneven sizes have a line more."""
    batches, channels, *size = shape
    reach = [spread(count, pad) for count, pad in zip(window.kernel, window.pads, strict=False)]
    half = tuple(-(-cells // PHASES) for cells in size)
    taps = tuple(last - first + 1 for first, last in reach)
    before = tuple(-first for first, _ in reach)
    return (batches, PHASES**2 * channels, *half), Window(taps, (1, 1), (1, 1), (*before, *before))


def spread(taps: int, pad: int) -> tuple[int, int]:
    """The first and the last cell of the phases' map that `taps` from `-pad` on meet."""
    return -pad // PHASES, (taps - 1 - pad) // PHASES
