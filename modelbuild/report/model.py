"""The report of one package as data: what `report.json` holds and the HTML page shows."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from modelbuild.report.item import Item
from modelbuild.report.mapping import Node, SourceLayer


class Problem(Item):
    """One thing that went wrong, as `modelbuild.errors.Problem`."""

    what: str
    where: str = ""
    why: str = ""
    advice: str = ""
    code: str = ""


class Failure(Item):
    """A stage that left nothing. `state` is `failed`, or `skipped` where one before it failed."""

    stage: str  # role of the missing file: import, check, fixed, package ...
    title: str
    model: str = ""
    action: str = ""
    state: str = "failed"
    problems: tuple[Problem, ...] = ()


class Check(Item):
    """A bound of `accept:` and what was measured; `measured` is null where nothing could be."""

    model: str
    check: str
    bound: bool | float
    measured: bool | float | None
    passed: bool


class File(Item):
    """One file of the package; `size` in bytes."""

    path: str
    size: int
    sha256: str


class Package(Item):
    """What is shipped, and for what. `files` is empty where packaging failed."""

    name: str
    target: str
    project: str = ""
    project_version: str = ""
    chip: str
    vendor: str = ""
    description: str = ""
    format: str = ""
    toolchain: str = ""
    silicon: bool = False
    files: tuple[File, ...] = ()


class Finding(Item):
    """What `check` has to say about a node."""

    code: str
    severity: str
    message: str
    advice: str = ""
    node: str = ""


class Pass(Item):
    """One pass over the graph and what it did."""

    name: str
    nodes_before: int
    nodes_after: int
    changes: int


class OutputError(Item):
    """Largest error of an output, relative to its range."""

    name: str
    error: float


class Difference(Item):
    """A rewritten graph held against the one before it."""

    outputs: tuple[OutputError, ...] = ()
    bound: float | None = None


class Source(Item):
    """The file that the model came in."""

    format: str = ""
    producer: str = ""
    opset: int | None = None
    ir_version: int | None = None
    nodes: int | None = None


class Port(Item):
    """An input or output. `preprocess` is the declaration in full; `ranges` is what results from pictures of
    0..255: (low, high), one pair or one a channel. With `in_model`, the declaration of what the model itself
    does, `preprocess` is what is left for who feeds it, and `ranges` is behind what the model does."""

    name: str
    dtype: str = ""
    shape: tuple[int, ...] = ()
    scale: float | None = None
    zero_point: int | None = None
    preprocess: dict[str, Any] | None = None
    in_model: dict[str, Any] | None = None
    ranges: tuple[tuple[float, float], ...] = ()


class CpuNode(Item):
    """A node that the NPU cannot run, why, and an estimate of its time in ms."""

    name: str
    op: str
    reason: str = ""
    time_ms: float | None = None


class Layer(Item):
    """One layer as predicted, with what verification measured on it. Times in ms, traffic in bytes;
    `utilisation` is the share 0..1 of the MAC array's peak."""

    name: str
    op: str = ""
    origin: tuple[str, ...] = ()
    unit: str = ""
    macs: int = 0
    cycles: int = 0
    time_ms: float = 0.0
    dram_read: int = 0
    dram_write: int = 0
    weights: int = 0
    bound: str = ""
    utilisation: float | None = None
    snr_db: float | None = None


class Performance(Item):
    """The prediction of `evaluate`. `utilisation` is of all layers together."""

    fps: float | None = None
    npu_fps: float | None = None
    time_ms: float | None = None
    cpu_time_ms: float | None = None
    total_ms: float | None = None
    confidence: str = ""
    confidence_because: str = ""
    cycles: int = 0
    macs: int = 0
    utilisation: float | None = None
    cpu_nodes: tuple[CpuNode, ...] = ()
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


class LayerQuality(Item):
    """The same for one operator; null where it is exact or was not measured."""

    name: str
    origin: tuple[str, ...] = ()
    snr_db: float | None = None


class Accuracy(Item):
    """Shares 0..1 by `top1`, `top5`; drop = float - fixed."""

    labelled: int
    of_float: dict[str, float] = Field(alias="float")
    fixed: dict[str, float]
    drop: dict[str, float]


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


class Tensor(Item):
    """A line of the quantization record."""

    name: str
    kind: str = ""
    bits: int | None = None
    scale: float | None = None
    zero_point: int | None = None
    low: float | None = None
    high: float | None = None
    method: str = ""
    snr_db: float | None = None


class Quantization(Item):
    """How the model became integers."""

    method: str = ""
    activations: str = ""
    weights: str = ""
    samples: int | None = None
    tensors: tuple[Tensor, ...] = ()


class Match(Item):
    """Bit-for-bit comparison of one tensor; `differing` counts values over all samples."""

    name: str
    equal: bool
    differing: int = 0


class Hardware(Item):
    """What `verify_hardware` found; `equal` is null where nothing was run."""

    samples: int = 0
    random: bool = False
    equal: bool | None = None
    outputs: tuple[Match, ...] = ()
    layers: tuple[Match, ...] = ()
    cycles: int | None = None


class Removed(Item):
    """A node that `tail: auto` cut off; `reason` is why the NPU does not run it, empty where it follows one
    that the NPU does not run."""

    name: str
    op: str = ""
    origin: tuple[str, ...] = ()
    reason: str = ""


class Model(Item):
    """One model of the package. A part is null where its stage failed or does not apply."""

    name: str
    id: int | None = None
    version: str | None = None
    source: Source | None = None
    inputs: tuple[Port, ...] = ()
    outputs: tuple[Port, ...] = ()
    passes: tuple[Pass, ...] = ()
    differences: dict[str, Difference] = Field(default_factory=dict)  # normalise, lower
    nodes: tuple[Node, ...] = ()
    layers: tuple[SourceLayer, ...] = ()
    tail: tuple[Removed, ...] = ()
    findings: tuple[Finding, ...] | None = None
    performance: Performance | None = None
    quantization: Quantization | None = None
    fidelity: Fidelity | None = None
    hardware: Hardware | None = None
    memory: dict[str, int] | None = None  # of the compiled program, in bytes
    failures: tuple[Failure, ...] = ()


class Report(Item):
    """Everything about one package. `passed`: every stage came through and every bound holds."""

    report: int = 1
    passed: bool
    package: Package
    checks: tuple[Check, ...]
    failures: tuple[Failure, ...]  # of the package's own stages; a model's stand with it
    models: tuple[Model, ...]
    unbounded: tuple[str, ...] = ()  # models that no bound on accuracy is declared for

    def to_json(self) -> dict[str, Any]:
        """The object of `report.json`."""
        return self.model_dump(mode="json")
