"""Where feature maps lie in DRAM: inputs, outputs, and working memory shared by lifetime."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from modelbuild.arithmetic.fixed_model import FixedModel, FixedOperator, QuantizedTensor
from modelbuild.npu.allocate import Lifetime, allocate

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
    """`address` of every tensor, sizes of the regions in bytes, and which operators need no code."""

    address: Mapping[str, int]
    input: int
    output: int
    working: int
    placements: tuple[Placement, ...]
    aliases: frozenset[str]  # outputs that are their operator's input, read with another shape

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


def tensor_bytes(tensor: QuantizedTensor) -> int:
    """Bytes of a dense tensor."""
    return math.prod(tensor.shape) * tensor.dtype.itemsize


@dataclass(frozen=True)
class Stretch:
    """Memory for some tensors, in bytes, needed from step `first` to step `last`."""

    tensors: tuple[str, ...]
    size: int
    first: int
    last: int


def plan_feature_maps(model: FixedModel) -> FeatureMaps:
    """Inputs first, then outputs (each alone in its place), then the rest, packed by lifetime."""
    roots = _alias_roots(model)
    aliases = frozenset(name for name, root in roots.items() if name != root)
    return place_maps(model, _buffers(model, roots), aliases)


def place_maps(
    model: FixedModel,
    buffers: Iterable[Stretch],
    aliases: frozenset[str] = frozenset(),
    dedicated: bool = True,
) -> FeatureMaps:
    """Inputs, outputs and working memory, one region behind the other. `dedicated`: each output lies alone;
    otherwise outputs share the working region by lifetime."""
    fixed_inputs, fixed_outputs = set(model.inputs), set(model.outputs)
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
    return FeatureMaps(address, sizes["input"], sizes["output"], sizes["working"], tuple(placements), aliases)


def _alias_roots(model: FixedModel) -> dict[str, str]:
    """Tensor in DRAM -> the tensor whose bytes it shares (itself, for most).

    A Reshape shares, unless that would make an input of the model or two outputs one.
    """
    roots = {name: name for name in model.inputs}
    border = set(model.inputs) | set(model.outputs)
    taken = set(model.inputs)
    for operator in model.operators:
        for name in operator.outputs:
            source = roots.get(operator.inputs[0]) if _only_reshapes(model, operator) else None
            if source is None or (name in border and source in taken):
                source = name
            roots[name] = source
            if name in border:
                taken.add(source)
    return roots


def _only_reshapes(model: FixedModel, operator: FixedOperator) -> bool:
    if operator.kind != "reshape":
        return False
    before, after = model.tensors[operator.inputs[0]], model.tensors[operator.outputs[0]]
    return before.dtype == after.dtype


def _buffers(model: FixedModel, roots: Mapping[str, str]) -> list[Stretch]:
    first: dict[str, int] = dict.fromkeys(model.inputs, -1)
    last: dict[str, int] = {}
    for index, operator in enumerate(model.operators):
        for name in operator.outputs:
            first[name] = index
            last[name] = index
        last.update({name: index for name in operator.inputs if name in roots})
    last.update(dict.fromkeys(model.outputs, len(model.operators)))
    groups: dict[str, list[str]] = {}
    for name, root in roots.items():
        groups.setdefault(root, []).append(name)
    return [
        Stretch(
            tuple(names),
            align(tensor_bytes(model.tensors[root])),
            min(first[name] for name in names),
            max(last.get(name, -1) for name in names),
        )
        for root, names in groups.items()
    ]


def _side_by_side(buffers: Iterable[Stretch]) -> list[int]:
    offsets = []
    end = 0
    for buffer in buffers:
        offsets.append(end)
        end += buffer.size
    return offsets
