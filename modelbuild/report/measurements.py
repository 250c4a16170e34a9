"""What stages predicted and measured of one model, as `report.json` holds it."""

from __future__ import annotations

from pydantic import Field

from modelbuild.report.item import Item


class CpuNode(Item):
    """A node that the NPU cannot run, why, and an estimate of its time in ms, from what was `counted`."""

    name: str
    op: str
    reason: str = ""
    counted: str = ""
    time_ms: float | None = None


class Layer(Item):
    """One layer as predicted, with what verification measured on it. Times in ms of one inference; cycles and
    bytes of a run; `stall_cycles` are those without work for the array, of whose peak for such a layer
    `utilisation` is the share 0..1. `macs_added`: those that the model has not. `on_chip`: what it makes
    never reaches DRAM; `estimated`: no code of it was counted."""

    name: str
    op: str = ""
    origin: tuple[str, ...] = ()
    unit: str = ""
    macs: int = 0
    macs_added: int | None = None
    cycles: int = 0
    time_ms: float = 0.0
    dram_read: int = 0
    dram_write: int = 0
    weights: int = 0
    bound: str = ""
    compute_cycles: int | None = None
    stall_cycles: int | None = None
    tiles: int | None = None
    on_chip: bool = False
    estimated: bool = False
    utilisation: float | None = None
    snr_db: float | None = None


class Saving(Item):
    """A change that makes the predicted time shorter."""

    change: str
    time_ms: float
    total_ms: float | None = None
    saves_ms: float


class Slow(Item):
    """A layer or a node on the CPU that takes long, the share 0..1 of the whole time, and why."""

    name: str
    unit: str = "npu"
    time_ms: float
    share: float
    because: str = ""


class Traffic(Item):
    """Bytes of a run to and from DRAM; `compulsory` are inputs, outputs and weights once."""

    read: int = 0
    write: int = 0
    weights: int = 0
    total: int = 0
    bandwidth_average: float | None = None
    compulsory: int = 0
    ratio: float | None = None


class CpuRate(Item):
    """How fast the CPU is taken to be, and how sure and whence each fact of that is."""

    operations_per_second: float
    sure: str = ""
    sources: dict[str, str] = Field(default_factory=dict)


class Deep(Item):
    """What deep tiling saves of one inference in ms and of a run in bytes, or the reason why the default
    stays."""

    taken: bool
    reason: str = ""
    saves_ms: float = 0.0
    saves_bytes: int = 0
    default_time_ms: float | None = None
    default_groups: int | None = None


class Performance(Item):
    """The prediction of `evaluate`: ms and MACs of one inference, cycles and bytes of a run of `batch`
    pictures. `utilisation` is of all layers together; `packing` says what is counted
    where weights are to be packed."""

    fps: float | None = None
    npu_fps: float | None = None
    pictures_per_inference: int = 1
    pictures_per_second: float | None = None
    batch: int = 1
    time_ms: float | None = None
    cpu_time_ms: float | None = None
    total_ms: float | None = None
    time_no_overlap_ms: float | None = None
    overlap_saved_ms: float | None = None
    theoretical_ms: float | None = None
    running_ms: float | None = None
    idle_ms: float | None = None
    bound: str | None = None
    tiling: str = ""
    deep: Deep | None = None
    groups: int | None = None
    activations: str = ""
    weights: str = ""
    stalls: dict[str, float] = Field(default_factory=dict)
    fits: bool | None = None
    fits_because: str | None = None
    cpu_rate: CpuRate | None = None
    dram: Traffic | None = None
    energy_mj: float | None = None
    help: tuple[Saving, ...] = ()
    slowest: tuple[Slow, ...] = ()
    confidence: str = ""
    confidence_because: str = ""
    packing: str = ""
    caveat: str = ""  # what the figures, which are for 8 bits, do not tell of this model
    cycles: int = 0
    macs: int = 0
    macs_npu: int | None = None
    macs_source: int | None = None
    utilisation: float | None = None
    cpu_nodes: tuple[CpuNode, ...] = ()  # of a kmodel its functions of the CPU: a node may be several
    nodes_on_cpu: int | None = None  # those of the model, which the gate counts
    is_kmodel: bool = False
    memory: dict[str, int] = Field(default_factory=dict)
    layers: tuple[Layer, ...] = ()


class OutputQuality(Item):
    """The fixed-point model held against the float model, one output; null where not measurable.
    `after_chip`: an output of the part that runs after the chip, on what either model gives it."""

    name: str
    after_chip: bool = False
    snr_db: float | None = None
    snr_db_mean: float | None = None
    cosine: float | None = None
    max_abs: float | None = None
    equal: float | None = None  # of whole numbers, the share that is equal
    constant: bool = False  # the same in all samples, where that of the float model is not


class LayerQuality(Item):
    """The same for one operator; null where it is exact or was not measured."""

    name: str
    origin: tuple[str, ...] = ()
    snr_db: float | None = None


class Accuracy(Item):
    """Shares 0..1 by `top1`, `top5`, `map`, `map50`; drop = float - fixed."""

    labelled: int
    of_float: dict[str, float] = Field(alias="float")
    fixed: dict[str, float]
    drop: dict[str, float]


class Functions(Item):
    """Values of functions of the user's, by FILE.py:FUNCTION."""

    of_float: dict[str, float] = Field(alias="float")
    fixed: dict[str, float]


class Fidelity(Item):
    """What `verify_fixed` measured. `optimistic`: on the samples that calibrated the model; `locked`: not in
    this build, but when `modelbuild.lock` was written."""

    samples: int = 0
    evaluation: str = ""
    optimistic: bool = False
    locked: bool = False
    outputs: tuple[OutputQuality, ...] = ()
    layers: tuple[LayerQuality, ...] = ()
    accuracy: Accuracy | None = None
    functions: Functions | None = None


class Match(Item):
    """Bit-for-bit comparison of one tensor; `differing` counts values over all samples. `through` are the
    tensors that it was put together from, where it has no place of its own in the program; `equal` is null
    where it repeats these, which are compared themselves. `within`: of floats whose last bits hang on the
    runtime, the share of their range within which they are equal."""

    name: str
    equal: bool | None = None
    differing: int = 0
    through: tuple[str, ...] = ()
    within: float | None = None


class Difference(Item):
    """The first value that is not the fixed-point model's: of a layer, else of an output (`section`)."""

    section: str = Field(alias="in")
    name: str
    sample: int
    element: tuple[int, ...]
    found: float
    expected: float


class Hardware(Item):
    """What `verify_hardware` found; `equal` is null where nothing was run. `accuracy` and `functions` were
    measured where it ran every evaluation sample. Cycles are of one run."""

    samples: int = 0
    random: bool = False
    equal: bool | None = None
    outputs: tuple[Match, ...] = ()
    layers: tuple[Match, ...] = ()
    unseen: tuple[str, ...] = ()  # layers of the fixed-point model that the program does not leave
    cycles: int | None = None
    cycles_predicted: int | None = None
    first_difference: Difference | None = None
    accuracy: dict[str, float] | None = None
    functions: dict[str, float] | None = None
