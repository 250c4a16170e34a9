"""What the planner hands to the emitter: groups of operators as a list of actions, with every address.

A tensor is looked at as `planes` x rows x columns (docs/tiling.md); sizes and addresses are bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from modelbuild.npu.planning.memory import FeatureMaps


@dataclass(frozen=True)
class View:
    """A tensor as bytes of a dense map of the model: of itself, where it shares memory with none."""

    root: str
    offset: int


@dataclass(frozen=True)
class Buffer:
    """A stretch of SRAM: `planes` planes of `slots` rows of `row_bytes`. Row r lies in slot r % slots."""

    address: int
    planes: int
    slots: int
    row_bytes: int

    @property
    def size(self) -> int:
        """Bytes."""
        return self.planes * self.slots * self.row_bytes


@dataclass(frozen=True)
class Region:
    """A part of a tensor: planes plane..plane+planes of all images together, rows row..row+rows."""

    tensor: str
    plane: int
    planes: int
    row: int
    rows: int


@dataclass(frozen=True)
class Operand:
    """Where a region lies in SRAM: its first plane is plane `plane` of the buffer."""

    buffer: Buffer
    plane: int


@dataclass(frozen=True)
class Load:
    """A region of a feature map, or of a constant operand, to SRAM."""

    region: Region
    to: Operand


@dataclass(frozen=True)
class LoadConstants:
    """Weights, records or tables that operator `operator` needs for a region of its output."""

    operator: int
    region: Region
    address: int


@dataclass(frozen=True)
class Compute:
    """A region of the output of operator `operator`. `inputs` are where the regions of its inputs lie that
    it needs; `constants` is where its constants lie, None if it has none."""

    operator: int
    region: Region
    inputs: tuple[Operand, ...]
    output: Operand
    constants: int | None = None


@dataclass(frozen=True)
class Store:
    """A region of a feature map to DRAM."""

    region: Region
    source: Operand


Action = Load | LoadConstants | Compute | Store


@dataclass(frozen=True)
class Workspace:
    """The stretch of SRAM that an operator with a loop of its own may use."""

    address: int
    size: int


@dataclass(frozen=True)
class Group:
    """Operators (indices of the model's) that are executed together, band by band.

    Without `actions` it is one operator that reads from DRAM, loops over its own tiles in `workspace` (None
    on the cpu), and writes to DRAM. `kept` are the roots that lie whole in SRAM during this group.
    """

    members: tuple[int, ...]
    actions: tuple[Action, ...] = ()
    workspace: Workspace | None = None
    kept: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """`views` has every tensor that shares memory, `inside` the positions of those inputs of a concat that
    are made in place (operator -> positions). `dram` has the address of each root that lies in DRAM, of which
    `maps` has the regions; maps that never leave the chip are not in it. `over_batch`: for several pictures
    maps stay, in some group, while the weights pass in parts."""

    groups: tuple[Group, ...]
    views: Mapping[str, View]
    dram: Mapping[str, int] = field(default_factory=dict)
    sram_peak: int = 0
    inside: Mapping[int, frozenset[int]] = field(default_factory=dict)
    maps: FeatureMaps | None = None
    over_batch: bool = False
