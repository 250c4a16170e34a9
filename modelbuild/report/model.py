"""The report of one package as data: what `report.json` holds and the HTML page shows."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from modelbuild.report.item import Item
from modelbuild.report.mapping import Node, SourceLayer
from modelbuild.report.measurements import Fidelity, Hardware, Performance
from modelbuild.report.memory_plan import MemoryPlan
from modelbuild.report.network import Difference, Finding, Pass, Port, Removed, Source
from modelbuild.report.widths import Widths


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
    """A bound of `accept:` and what was measured, as `verdict.Check`; `measured` is null where nothing could
    be."""

    model: str
    check: str
    bound: bool | float
    measured: bool | float | None
    passed: bool
    limit: str = ""
    of_float: float | None = None
    note: str = ""


class File(Item):
    """One file of the package; `size` in bytes."""

    path: str
    size: int
    sha256: str


class IncludedModel(Item):
    """A model that was in a file already."""

    id: int
    name: str | None
    version: str | None


class Included(Item):
    """A file whose models went into the package as they are: nothing of them is measured here."""

    path: str
    sha256: str
    models: tuple[IncludedModel, ...]
    verified: bool = False


class Encrypted(Item):
    """How the files are encrypted; docs/format-encrypted.md."""

    mode: int


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
    included: tuple[Included, ...] = ()
    encrypted: Encrypted | None = None


class Tensor(Item):
    """A line of the quantization record."""

    name: str
    kind: str = ""
    bits: int | None = None
    signed: bool = True
    scale: float | None = None
    zero_point: int | None = None
    low: float | None = None
    high: float | None = None
    method: str = ""
    snr_db: float | None = None
    output_snr_db: float | None = None


class Held(Item):
    """A bound that `mode: auto` worked towards, on the calibration samples."""

    check: str
    bound: float
    measured: float


class Auto(Item):
    """What `mode: auto` came to, by how many measurements on how many calibration samples, and what it keeps
    in hand."""

    measurements: int
    samples: int | None = None
    margin_db: float | None = None
    goals: tuple[Held, ...] = ()


class Quantization(Item):
    """How the model became integers. `mode` is null where none was asked for."""

    method: str = ""
    activations: str = ""
    weights: str = ""
    samples: int | None = None
    mode: str | None = None
    auto: Auto | None = None
    widths: Widths | None = None
    tensors: tuple[Tensor, ...] = ()


class Batch(Item):
    """Pictures a run: how many were asked for, how many the program takes, and what stood in the way."""

    desired: int
    achieved: int
    reasons: tuple[str, ...] = ()


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
    memory_plan: MemoryPlan | None = None  # of a kmodel: what lies where, while its operations run
    batch: Batch | None = None  # where one was asked for
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
