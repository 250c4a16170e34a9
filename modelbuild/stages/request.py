"""What planning tells the stages about one model on one target, or about one package."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any

from modelbuild.build.action import FileInput, OutputOf
from modelbuild.chips import pass_names
from modelbuild.formats.sealed_keys import Sources
from modelbuild.stages import backends

Json = Any
# All tensors of one run have at most this many times the bytes of the inputs; so many only where a dozen
# layers keep the size of the picture. docs/builder.md has the measurements.
ACTIVATIONS = 340
UNDECLARED = 4 * 3 * 224 * 224  # bytes of the inputs where the manifest declares no shape
Source = FileInput | OutputOf
IN_MODEL = "in_model"  # the key of an input whose preprocessing is done in the model
POST_SUFFIX = "_post.onnx"
SAMPLE_ROLES = "sample/"  # what the roles of samples begin with


def post_name(model: str) -> str:
    """The file in dist/ of the part of a model that runs after the chip."""
    return f"{model}{POST_SUFFIX}"


@dataclass(frozen=True)
class Samples:
    """A sample set as chosen: for each sample the file of each input, relative to the project."""

    name: str
    files: tuple[Mapping[str, str], ...]
    labels: tuple[Json, ...] | None = None  # a class, boxes or numbers a sample: `samples.labels.Label`
    optimistic: bool = False  # the calibration set doubles as the evaluation set

    def roles(self) -> Mapping[str, Source]:
        """The builder's roles for these files, in sample order: `sample/000012/input`."""
        return self._roles

    @cached_property
    def _roles(self) -> dict[str, Source]:  # a thousand models may use one set, in four stages each
        return {
            sample_role(index, name): FileInput(path)
            for index, files in enumerate(self.files)
            for name, path in sorted(files.items())
        }


def sample_role(index: int, name: str) -> str:
    """The role under which a stage finds the file of one input of one sample."""
    return f"{SAMPLE_ROLES}{index:06d}/{name}"


@dataclass(frozen=True)
class UserFunction:
    """A function of the user's, `FILE.py:FUNCTION`, and the files of the project that it is made of."""

    spec: str
    files: tuple[str, ...]


@dataclass(frozen=True)
class ModelRequest:
    """One model, and, from `lower` on, one target. `settings` are the effective ones, merged."""

    model: str
    source: str  # a path relative to the project; of a source at an address, the file's name there
    source_digest: str | None  # the SHA-256 that the manifest demands of the source
    inputs: Mapping[str, Json]  # input name -> {"shape": [...], "preprocess": {...}, "in_model": {...}}
    edit: tuple[Json, ...]  # all but `tail`, which depends on the chip
    target: str
    recipe: Json
    settings: Mapping[str, Json]
    calibration: Samples | None
    evaluation: Samples | None
    record: str | None = None  # a quantization record to start from: the user's, or the locked one
    is_fixed: bool = False  # the source is a .fixed.onnx: nothing to import or quantize
    labels: str | None = None  # a file of the class names
    fingerprint: str = ""
    recipes: str = ""  # the SHA-256 of all recipes that are installed
    paranoid: bool = False  # one of the model's targets wants the guard after each pass
    shared: bool = True  # all targets of the model edit and normalise it alike: the first stages are one
    url: str | None = None  # where the source is fetched from
    weights: str | None = None  # the file of its weights, where the format keeps them apart
    measurements: str | None = None  # the file of locked measurements, which stand for those of a sample set
    tail: bool = False  # what the NPU does not run is cut off, and runs after the chip
    remeasured: Samples | None = None  # the evaluation samples on which these are measured again
    # path below the settings' root, ("accept", "fps") -> where that bound was written
    bounds: Mapping[tuple[str, ...], str] = field(default_factory=dict)
    functions: tuple[UserFunction, ...] = ()  # measures of accuracy that bounds name
    boxes: UserFunction | None = None  # the postprocessing, where a bound needs the boxes that it makes

    @property
    def has_record(self) -> bool:
        """Whether a quantization record makes the fixed model: not of a chip that computes with floats."""
        return backends.of_recipe(self.recipe).has_record

    @property
    def times_built(self) -> bool:
        """Whether `compile` leaves an `evaluate.json` of what it made, which stands for the prediction."""
        return not self.is_fixed and backends.of_recipe(self.recipe).times_built

    def evaluated(self) -> OutputOf:
        """The object of `evaluate` that reports and bounds are of."""
        return self.output("compile" if self.times_built else "evaluate", "evaluate.json")

    @property
    def has_own_ports(self) -> bool:
        """Whether inputs and outputs of the chip have formats that are not those of activations."""
        return bool(self.recipe["number_format"].get("ports"))

    @property
    def ports(self) -> dict[str, Json]:
        """Those that are asked for: inputs | outputs -> name, or `*` for the others -> format."""
        asked = self.settings["quantize"] if self.has_own_ports else {}
        return {key: asked[key] for key in ("inputs", "outputs") if asked.get(key)}

    @property
    def observes(self) -> bool:
        """Whether the float model is run over the calibration samples."""
        return self.has_record and self.record is None and self.calibration is not None

    @property
    def is_measured(self) -> bool:
        """Whether there is a measurement of the fixed-point model, made in this build or locked."""
        return self.evaluation is not None or self.measurements is not None

    @property
    def removes(self) -> bool:
        """Whether the manifest cuts something off the model."""
        return self.tail or any("cut" in edit for edit in self.edit)

    @property
    def has_int16(self) -> bool:
        """Whether the chip has 16 bits for activations and for weights."""
        has = self.recipe["number_format"]
        return all("int16" in has[key] for key in ("activations", "weights"))

    @property
    def shapes(self) -> dict[str, list[int]]:
        """Declared input shapes."""
        return {name: list(given["shape"]) for name, given in self.inputs.items() if "shape" in given}

    @property
    def preprocess(self) -> dict[str, Json]:
        """Preprocessing of each input that has any, so far as it is done before the model."""
        return {name: given["preprocess"] for name, given in self.inputs.items() if "preprocess" in given}

    @property
    def in_model(self) -> dict[str, Json]:
        """The whole declaration of each input whose preprocessing is done in the model."""
        return {name: given[IN_MODEL] for name, given in self.inputs.items() if IN_MODEL in given}

    @property
    def normalising(self) -> dict[str, Json]:
        """What `optimize` says to `normalise`: nothing, unless it leaves a pass out."""
        optimize = self.settings.get("optimize") or {}
        run = pass_names.chosen(pass_names.NORMALISE, optimize.get("skip") or (), optimize.get("only"))
        skipped = [name for name in pass_names.NORMALISE if name not in run]
        return {"skip": skipped} if skipped else {}

    @property
    def lowering(self) -> list[str]:
        """The recipe's passes, in its order, less `optimize.skip` or only `optimize.only`."""
        optimize = self.settings.get("optimize") or {}
        skip, only = optimize.get("skip") or (), optimize.get("only")
        return [entry for entry in self.recipe["passes"] if pass_names.named(entry, skip, only)]

    @property
    def watching(self) -> dict[str, Json]:
        """`{"paranoid": True}` where the guard is to run after each pass, which changes no result."""
        return {"paranoid": True} if self.paranoid else {}

    @property
    def suffix(self) -> str:
        """The source's suffix, in small letters."""
        return PurePosixPath(self.source).suffix.lower()

    def source_file(self) -> Source:
        """The source: a file of the user's, or what was fetched."""
        return FileInput(self.source) if self.url is None else self.output("fetch", "source")

    @property
    def activations(self) -> int:
        """The bytes that all float tensors of one run take, estimated from the declared input shapes."""
        inputs = sum(4 * math.prod(shape) for shape in self.shapes.values())
        return ACTIVATIONS * (inputs or UNDECLARED)

    def action(self, stage: str) -> str:
        """The name of this request's action of a stage."""
        own = f"{self.model}@{self.target}:{stage}"
        return f"{self.model}:{stage}" if stage == "fetch" or (self.shared and stage in SHARED) else own

    def output(self, stage: str, name: str) -> OutputOf:
        """A file that another stage of this request leaves."""
        return OutputOf(self.action(stage), name)

    def after_chip(self) -> dict[str, Source]:
        """Role `post`: the part that runs after the chip, where one was asked for."""
        return {"post": self.output("lower", "post.onnx")} if self.tail and not self.is_fixed else {}

    def fixed(self) -> OutputOf:
        """The fixed-point model, made here or brought by the user."""
        return self.output("import_fixed" if self.is_fixed else "apply", "model.fixed.onnx")


SHARED = frozenset({"fetch", "import_source", "normalise"})


@dataclass(frozen=True)
class PackagedModel:
    """A model's place in a package."""

    request: ModelRequest
    id: int | None = None
    version: str | None = None


@dataclass(frozen=True)
class PackageKeys:
    """What a package is encrypted with: where the secrets are, never what they are. `fingerprint` changes
    with them (`formats.sealed_keys.fingerprint`); it is empty where some are `missing`: (what, place)."""

    mode: int
    sources: Sources
    fingerprint: str
    cache_plaintext: bool = False
    missing: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class PackageRequest:
    """One package for one target."""

    package: str
    target: str
    recipe: Json
    models: tuple[PackagedModel, ...]
    project: Mapping[str, str] = field(default_factory=dict)
    fingerprint: str = ""
    silicon: bool = False  # whether the toolchain's programs run on the chip itself
    templates: Mapping[str, str] = field(default_factory=dict)  # what the report is made with, and digests
    keys: PackageKeys | None = None  # of one that is encrypted
    include: tuple[str, ...] = ()  # paths of NEFs whose models go into it as they are
    locked_files: Mapping[str, str] | None = None  # of a locked build: file of dist/ -> SHA-256 it must have

    @property
    def seals_programs(self) -> bool:
        """Whether the programs that are read back from the package are kept encrypted."""
        return self.keys is not None and not self.keys.cache_plaintext

    def action(self, stage: str, model: str = "") -> str:
        """The name of this package's action of a stage, of one model where the stage works on each."""
        return f"{self.package}/{model}:{stage}" if model else f"{self.package}:{stage}"

    def output(self, stage: str, name: str, model: str = "") -> OutputOf:
        """A file that a stage of this package leaves."""
        return OutputOf(self.action(stage, model), name)
