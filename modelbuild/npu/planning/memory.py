"""Where feature maps lie in DRAM: inputs, outputs, and working memory shared by lifetime."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from modelbuild.npu.planning.allocate import Lifetime, allocate

ALIGNMENT = 16
EFFORT = 200  # orders that are tried where the simple ones leave memory unused


@dataclass(frozen=True)
class Placement:
    """A buffer in DRAM: the tensors in it, and the first and last operator that use it."""

    tensors: tuple[str, ...]
    region: str  # input | output | working
    address: int
    size: int  # bytes, aligned
    first: int
    last: int


@dataclass(frozen=True)
class FeatureMaps:
    """`address` of every tensor that is in DRAM, and sizes of the regions in bytes."""

    address: Mapping[str, int]
    input: int
    output: int
    working: int
    placements: tuple[Placement, ...]

    @property
    def size(self) -> int:
        """Bytes of all regions."""
        return self.input + self.output + self.working


@dataclass(frozen=True)
class MemoryPlan:
    """Bytes of every region of the chip's DRAM, and the peak of the memory on the chip."""

    input: int
    output: int
    working: int
    command: int
    weights: int
    host: int
    dram_peak: int
    sram_peak: int
    placements: tuple[Placement, ...]


def up(size: int, multiple: int) -> int:
    """`size` rounded up to a multiple."""
    return -(-size // multiple) * multiple


def align(size: int) -> int:
    """`size` rounded up to ALIGNMENT."""
    return up(size, ALIGNMENT)


@dataclass(frozen=True)
class Stretch:
    """Memory for some tensors, in bytes, needed from step `first` to step `last`."""

    tensors: tuple[str, ...]
    size: int
    first: int
    last: int


def place_maps(
    inputs: Collection[str], outputs: Collection[str], buffers: Iterable[Stretch], dedicated: bool = True
) -> FeatureMaps:
    """What holds inputs of the model, then what holds outputs, then the rest, packed by lifetime: one region
    behind the other. `dedicated`: each output lies alone; otherwise outputs share the working region."""
    fixed_inputs, fixed_outputs = set(inputs), set(outputs)
    regions: dict[str, list[Stretch]] = {"input": [], "output": [], "working": []}
    for buffer in buffers:
        if fixed_inputs & set(buffer.tensors):
            regions["input"].append(buffer)
        elif dedicated and fixed_outputs & set(buffer.tensors):
            regions["output"].append(buffer)
        else:
            regions["working"].append(buffer)
    offsets = {"input": _side_by_side(regions["input"]), "output": _side_by_side(regions["output"])}
    working = [Lifetime(item.size, item.first, item.last) for item in regions["working"]]
    offsets["working"] = allocate(working, EFFORT)
    placements: list[Placement] = []
    sizes: dict[str, int] = {}
    base = 0
    for region, items in regions.items():
        for item, offset in zip(items, offsets[region], strict=True):
            placements.append(
                Placement(item.tensors, region, base + offset, item.size, item.first, item.last)
            )
        ends = (offset + item.size for item, offset in zip(items, offsets[region], strict=True))
        sizes[region] = max(ends, default=0)
        base += sizes[region]
    address = {name: placed.address for placed in placements for name in placed.tensors}
    return FeatureMaps(address, sizes["input"], sizes["output"], sizes["working"], tuple(placements))


def _side_by_side(buffers: Iterable[Stretch]) -> list[int]:
    offsets = []
    end = 0
    for buffer in buffers:
        offsets.append(end)
        end += buffer.size
    return offsets
