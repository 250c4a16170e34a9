"""The manifest that `pack` stands for: a model file, a chip, and what was said on the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from os.path import relpath
from pathlib import Path
from typing import Any

import yaml

from modelbuild.errors import ModelbuildError, did_you_mean
from modelbuild.importers.describe import describe
from modelbuild.manifest.model import FIXED_SUFFIX
from modelbuild.manifest.scaffold import Choices, InputFacts, colour, manifest_text
from modelbuild.project.starting import chip_facts, described
from modelbuild.quantize.sample_counts import ADVISED, ENOUGH
from modelbuild.samples.loader import gather_files
from modelbuild.samples.preprocess import PRESETS

_OPEN = "<?>"
ONLY = ""  # stands for the name of the only input


@dataclass(frozen=True)
class PackRequest:
    """`source`, `samples` and a chip that is a recipe's path are relative to `directory`. `preprocess` is
    input -> name of a preset, or settings; `shapes` is input -> shape; for both ONLY names the only input."""

    source: str
    chip: str
    directory: Path
    samples: Sequence[str] = ()
    preprocess: Mapping[str, str | Mapping[str, Any]] = field(default_factory=dict)
    shapes: Mapping[str, Sequence[int]] = field(default_factory=dict)
    accept: Mapping[str, Any] = field(default_factory=dict)
    id: int | None = None
    version: str = ""
    weights: str | None = None  # where they are apart, relative to `directory`


def text_of(request: PackRequest) -> str:
    """`models.yaml` for `directory`.

    Raises ModelbuildError for a model that cannot be imported, a shape or an input that it does not have,
    sizes that it leaves open, and samples that are not there."""
    model = request.directory / request.source
    if model.name.lower().endswith(FIXED_SUFFIX):
        raise ModelbuildError(
            f"{model.name} is imported and quantized already",
            advice="write a manifest that names it: `modelbuild pack` quantizes float models",
        )
    if not request.samples:
        raise ModelbuildError(
            "there are no samples to quantize with",
            why="the range of each tensor is chosen from what typical inputs produce; invented ones would "
            "give a package that is silently wrong",
            advice=f"name {ADVISED} typical inputs: --samples 'img/*.jpg'",
        )
    weights = None if request.weights is None else request.directory / request.weights
    named, _ = described(model, {}, "--shape", weights)
    shapes = {_input(name, named, "--shape"): shape for name, shape in request.shapes.items()}
    facts, outputs = described(model, shapes, "--shape", weights)
    _refuse_open(facts, model)
    count = min(len(gather_files(list(request.samples), request.directory)), ENOUGH)
    choices = Choices(
        {
            port.name: _flow(settings)
            for name, given in request.preprocess.items()
            for port, settings in _preprocess(name, given, facts)
        },
        _flow(request.accept) if request.accept else "",
        request.id,
        request.version,
        "" if weights is None else Path(relpath(weights, request.directory)).as_posix(),
    )
    chips = chip_facts([request.chip], request.directory)
    path = Path(relpath(model, request.directory)).as_posix()
    return manifest_text(path, facts, outputs, chips, request.samples, count, choices)


def _input(name: str, facts: Sequence[InputFacts], option: str) -> str:
    if name == ONLY and len(facts) == 1:
        return facts[0].name
    names = [port.name for port in facts]
    if name in names:
        return name
    raise ModelbuildError(
        f"{option}: the model has no input `{name}`" if name else f"{option}: which input is it?",
        why=f"its inputs are {', '.join(names)}",
        advice=did_you_mean(name, names) if name else f"write {option} {names[0]}=...",
    )


def _refuse_open(facts: Sequence[InputFacts], model: Path) -> None:
    """A batch that is left open is 1; other sizes nobody but the user knows."""
    for port in facts:
        if None in port.shape[1:]:
            (has,) = (border.shown for border in describe(model)[0] if border.name == port.name)
            raise ModelbuildError(
                f"the model leaves sizes of the input `{port.name}` open: {has}",
                advice=f"say them: --shape {port.name}={','.join(_sizes(port.shape))}",
            )


def _sizes(shape: Sequence[int | None]) -> list[str]:
    return [str(size or (_OPEN if axis else 1)) for axis, size in enumerate(shape)]


def _preprocess(
    name: str, given: str | Mapping[str, Any], facts: Sequence[InputFacts]
) -> list[tuple[InputFacts, Mapping[str, Any]]]:
    """The inputs that a declaration is for, with their settings. A preset comes with `stretch` and the
    colours that the channels tell; settings are taken as they are."""
    pictures = [port for port in facts if port.takes_pictures]
    chosen = pictures if name == ONLY else [port for port in facts if port.name == name]
    if not chosen:
        if name != ONLY:
            _input(name, facts, "--preprocess")
        raise ModelbuildError("--preprocess: no input of the model takes pictures", advice="leave it out")
    if not isinstance(given, str):
        return [(port, given) for port in chosen]
    if given not in PRESETS:
        raise ModelbuildError(
            f"--preprocess: there is no preset `{given}`",
            advice=f"{did_you_mean(given, PRESETS)} presets are {', '.join(PRESETS)}; "
            "or write '{mean: 127, std: 128}'".lstrip(),
        )
    return [
        (port, {"resize": "stretch", **yaml.safe_load(f"{{{colour(port)}}}"), "preset": given})
        for port in chosen
    ]


def _flow(value: Mapping[str, Any]) -> str:
    """YAML on one line."""
    text: str = yaml.safe_dump(
        dict(value), default_flow_style=True, sort_keys=False, allow_unicode=True, width=1 << 20
    )
    return text.strip()
