"""The manifest that `modelbuild init` writes: short, commented, and it builds."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import yaml

from modelbuild.quantize.sample_counts import ADVISED, ENOUGH

FIRST_ID = 32768  # ids below are reserved by Kneron
SAMPLES_FOLDER = "samples"


@dataclass(frozen=True)
class InputFacts:
    """What the model file says of one input. A dimension that it leaves open is None."""

    name: str
    shape: tuple[int | None, ...]
    dtype: str = "float32"

    @property
    def takes_pictures(self) -> bool:
        """Whether a picture can feed it: [1, C, H, W] or [1, H, W, C] with 1 or 3 channels."""
        return self.layout is not None

    @property
    def layout(self) -> str | None:
        """NCHW or NHWC by where the channels seem to be."""
        if len(self.shape) != 4:
            return None
        if self.shape[1] in (1, 3):
            return "NCHW"
        return "NHWC" if self.shape[3] in (1, 3) else None


@dataclass(frozen=True)
class ChipFacts:
    """What the scaffold needs to know of a chip."""

    name: str
    format: str  # nef | mpk | kmodel
    written: str = ""  # as `chip:` names it, if that is not the name: a recipe's path


@dataclass(frozen=True)
class Choices:
    """What takes the place of the scaffold's own: YAML on one line for `accept` and for the preprocessing of
    inputs, by name; the package's id and version of the model; and the file of its weights, if they are
    apart."""

    preprocess: Mapping[str, str] = field(default_factory=dict)
    accept: str = ""
    id: int | None = None
    version: str = ""
    weights: str = ""


DEFAULT = Choices()


def manifest_text(
    source: str,
    inputs: Sequence[InputFacts],
    outputs: Sequence[str],
    chips: Sequence[ChipFacts],
    samples: Sequence[str] = (),
    count: int | None = None,
    choices: Choices = DEFAULT,
) -> str:
    """The text of models.yaml for the model file `source` (a path relative to the manifest).

    `samples` are globs of calibration files; `count` is how many of them to use. Without samples the
    manifest names the folder `samples/`, which the user has to fill before it builds: quantizing needs real
    inputs, and invented ones would give a package that is silently wrong."""
    name = model_name(source)
    lines = [
        "# Built by `modelbuild build`; every key is explained in docs/models-yaml.md.",
        "modelbuild: 1",
        f'project: {{name: {_text(name)}, version: "0.1.0"}}',
        "",
        *_samples(inputs, samples),
        "",
        "models:",
        f"  {name}:",
        f"    source: {_text(source)}",
        *([f"    weights: {_text(choices.weights)}"] if choices.weights else []),
        *_inputs(inputs, choices.preprocess),
        f"    calibration: {_calibration(count)}",
        "    # evaluation: NAME of a set that calibration does not see; without it, accuracy is measured on",
        "    # the calibration samples and reported as optimistic",
        *_accept(outputs, choices.accept),
        "",
        "targets:",
        *(f"  {chip.name}: {{chip: {_text(chip.written or chip.name)}}}" for chip in chips),
        "",
        "packages:",
        *_packages(name, chips, choices),
    ]
    return "\n".join(lines) + "\n"


def model_name(source: str) -> str:
    """A name for the model, from its file's name."""
    stem = PurePosixPath(source).name
    for suffix in (".fixed.onnx", PurePosixPath(stem).suffix):
        stem = stem.removesuffix(suffix) if suffix else stem
    return (re.sub(r"[^A-Za-z0-9_]+", "_", stem).strip("_") or "model")[:100]


def _text(value: str) -> str:
    """A scalar that YAML reads back as this text."""
    if re.fullmatch(r"[A-Za-z_./][A-Za-z0-9_./-]*", value) and yaml.safe_load(value) == value:
        return value
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _samples(inputs: Sequence[InputFacts], samples: Sequence[str]) -> list[str]:
    suffix = "*.jpg" if len(inputs) == 1 and inputs[0].takes_pictures else "*.npz"
    head = ["samples:"]
    if samples:
        listed = _text(samples[0]) if len(samples) == 1 else "[" + ", ".join(map(_text, samples)) + "]"
        return [*head, f"  calibration: {{files: {listed}}}"]
    keys = "" if suffix == "*.jpg" else f" (.npz with the keys {', '.join(given.name for given in inputs)})"
    return [
        *head,
        f"  # Before the first build, put {ADVISED} typical inputs into the folder {SAMPLES_FOLDER}/{keys}:",
        "  # quantization looks at the values that they produce.",
        f"  calibration: {{files: {SAMPLES_FOLDER}}}",
    ]


def _inputs(inputs: Sequence[InputFacts], preprocess: Mapping[str, str]) -> list[str]:
    lines = ["    inputs:"]
    for given in inputs:
        open_dimensions = any(size is None for size in given.shape)
        shape = [size if size is not None else _guess(index, given) for index, size in enumerate(given.shape)]
        if open_dimensions:
            lines.append("      # the model leaves sizes of this input open: check the shape")
        settings = f"shape: [{', '.join(map(str, shape))}]"
        if given.layout == "NHWC":
            settings += ", layout: NHWC"
        if given.name in preprocess:
            settings += f", preprocess: {preprocess[given.name]}"
        elif given.takes_pictures:
            lines.append(
                "      # y = (x * scale - mean) / std of 0..255, as in training (or `preset: imagenet`)"
            )
            numbers = _NORMALISATIONS.get(given.dtype, _UNIT)
            settings += f", preprocess: {{resize: stretch, {colour(given)}{numbers}".rstrip(", ") + "}"
        lines.append(f"      {_text(given.name)}: {{{settings}}}")
    return lines


_UNIT = f"scale: {1 / 255:.10g}, mean: 0, std: 1"
# element type of an input -> what makes of pixels the whole numbers that it holds
_NORMALISATIONS = {"uint8": "", "int8": "mean: 128"}


def _guess(index: int, given: InputFacts) -> int:
    """1 for the batch; 224, the commonest picture size, for a picture's height and width."""
    return 224 if index > 0 and given.takes_pictures else 1


def colour(given: InputFacts) -> str:
    """The setting of an input that takes pictures, by its channels, with a comma after it."""
    channels = given.shape[1] if given.layout == "NCHW" else given.shape[-1]
    return "colour: rgb, " if channels == 3 else "colour: gray, "


def _calibration(count: int | None) -> str:
    if count is None:
        return "{set: calibration}      # all of it; `count: 64` takes 64, evenly spaced"
    few = f"      # {ADVISED} are better" if count < ENOUGH else ""
    return f"{{set: calibration, count: {count}}}{few}"


def _accept(outputs: Sequence[str], accept: str) -> list[str]:
    if accept:
        return [f"    accept: {accept}"]
    listed = ", ".join(f"{_text(name)}: 20" for name in outputs[:4])
    return [
        "    # accept: bounds that a package must hold to be shipped; outputs can have their own:",
        f"    # accept: {{snr_db: {{{listed}}}}}",
        "    accept: {snr_db: 10}",
    ]


def _packages(name: str, chips: Sequence[ChipFacts], choices: Choices) -> list[str]:
    version = json.dumps(choices.version or "0001")
    lines = []
    for chip in chips:
        package = name if len(chips) == 1 else f"{name}-{chip.name}"
        if chip.format == "nef":
            lines.append(f"  {package}:")
            lines.append(f"    target: {chip.name}")
            lines.append("    # ids below 32768 are reserved by Kneron; the version is four hex digits")
            id_ = FIRST_ID if choices.id is None else choices.id
            lines.append(f"    models: {{{name}: {{id: {id_}, version: {version}}}}}")
        elif choices.id is not None or choices.version:
            own = "" if choices.id is None else f"id: {choices.id}, "
            lines.append(
                f"  {package}: {{target: {chip.name}, models: {{{name}: {{{own}version: {version}}}}}}}"
            )
        else:
            lines.append(f"  {package}: {{target: {chip.name}, models: [{name}]}}")
    return lines
