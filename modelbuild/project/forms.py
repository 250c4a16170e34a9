"""MODEL@TARGET -> the files of its three forms, built first where they are not up to date."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from modelbuild.artifacts.kinds import Kind
from modelbuild.artifacts.kmodel_runner import KmodelRunner
from modelbuild.artifacts.packing import Program, kmodel
from modelbuild.artifacts.runner import FixedRunner, FloatRunner, HardwareRunner, Runner
from modelbuild.artifacts.runner_of_file import open_runner
from modelbuild.artifacts.whole_runner import WholeRunner
from modelbuild.build.jobs import processors
from modelbuild.errors import EXIT_FAILED, ModelbuildError
from modelbuild.formats import sealed, sealed_keys
from modelbuild.graph import onnx_io
from modelbuild.graph.after_chip import AfterChip
from modelbuild.manifest.samples import Sets
from modelbuild.project.building import Observer
from modelbuild.project.goals import request_of
from modelbuild.project.keys import require_keys
from modelbuild.project.project import Project, located
from modelbuild.quantize import fixed_onnx
from modelbuild.report.advice import Facts, steps
from modelbuild.samples.preprocess import from_settings
from modelbuild.stages import sealing
from modelbuild.stages.files import read_json
from modelbuild.stages.request import ModelRequest, PackageRequest
from modelbuild.toolchains.builtin import LEVELS

if TYPE_CHECKING:
    from modelbuild.artifacts.postprocess import Postprocess

PARTS = ("command", "weights", "host")


def is_pair(text: str) -> bool:
    """Whether a command-line word names a model on a target rather than a file."""
    return "@" in text and not Path(text).exists()


def open_form(
    project: Project, pair: str, level: str, observer: Observer | None = None, *, tail: bool = True
) -> Runner:
    """The float, fixed or hardware form of MODEL@TARGET, after building what it needs. What `tail: auto` cut
    off runs after it, so that the outputs are the source's; not so without `tail`."""
    request = _request(project, pair)
    runner = OPENERS[level](project, request, observer)
    if not tail or not request.after_chip():
        return runner
    post = _built(project, request.action("lower"), ["post.onnx"], observer)[0]
    return WholeRunner(runner, AfterChip(onnx_io.read(post)))


def advice_of(project: Project, pair: str, observer: Observer | None = None) -> list[str]:
    """What to do where MODEL@TARGET loses too much, the likeliest first; nothing for a model that comes
    quantized, or that stays in float. Builds the record where it is not up to date."""
    request = _request(project, pair)
    if request.is_fixed or not request.has_record:
        return []
    path = _built(project, request.action("quantize"), ["quantize.json"], observer)[0]
    blank = 0
    if request.observes:
        seen = _built(project, request.action("check_calibration"), ["calibration.json"], observer)[0]
        blank = read_json(seen)["blank"]
    return steps(Facts(read_json(path), request.removes, request.has_int16, pair=pair, blank=blank))


def postprocess_of(project: Project, pair: str) -> Postprocess:
    """The function that the manifest names to make something of the outputs of MODEL@TARGET."""
    from modelbuild.artifacts.postprocess import Postprocess

    model = _request(project, pair).model
    spec = project.manifest.spec.models[model].postprocess
    if spec is None:
        raise ModelbuildError(
            f"{model} has no postprocessing",
            where=project.manifest.position(("models", model)),
            advice="add `postprocess: FILE.py:FUNCTION` to the model",
        )
    return Postprocess(spec, project.root, secrets=project.manifest.secrets)


def _request(project: Project, pair: str) -> ModelRequest:
    from modelbuild.manifest.select import select

    select(project.manifest, [pair])  # names that do not exist are an error with the nearest
    model, _, target = pair.partition("@")
    return request_of(project, (model, target))


def _float(project: Project, request: ModelRequest, observer: Observer | None) -> Runner:
    if request.is_fixed:
        raise ModelbuildError(
            f"{request.model} has no float form: its source is a fixed-point model",
            advice="use --level fixed",
        )
    path = _built(project, request.action("lower"), ["model.onnx"], observer)[0]
    preprocess = {name: from_settings(given) for name, given in request.preprocess.items()}
    in_model = {name: from_settings(given) for name, given in request.in_model.items()}
    return FloatRunner(onnx_io.read(path), preprocess, in_model)


def _fixed(project: Project, request: ModelRequest, observer: Observer | None) -> Runner:
    output = request.fixed()
    return FixedRunner(fixed_onnx.read(_built(project, output.action, [output.name], observer)[0]))


def _hardware(project: Project, request: ModelRequest, observer: Observer | None) -> Runner:
    """The program as its package holds it; without a package, as the compiler left it."""
    for package in project.plan.packages.values():
        if package.target == request.target and any(p.request.model == request.model for p in package.models):
            return _runner(project, _packaged(project, package, request, observer), request, observer)
    names = [f"{part}.bin" for part in PARTS]
    command, weights, host = _read(project, request.action("compile"), names, observer)
    return _runner(project, Program(request.model, command, weights, host), request, observer)


def _runner(project: Project, program: Program, request: ModelRequest, observer: Observer | None) -> Runner:
    """Of a kmodel, which has no names, with those of the compiler's plan."""
    if request.recipe["container"]["format"] != Kind.KMODEL:
        return HardwareRunner(program)
    path = _built(project, request.action("compile"), ["compile.json"], observer)[0]
    described = kmodel.described(read_json(path))
    return KmodelRunner(program.command, program.name, described)


def _packaged(
    project: Project, package: PackageRequest, request: ModelRequest, observer: Observer | None
) -> Program:
    """The program in a package; one that is encrypted opens with the keys that the manifest names."""
    action = package.action("package")
    require_keys(project, [action])
    if package.keys is not None and package.seals_programs:
        (data,) = _read(project, action, [f"programs/{request.model}.enc"], observer)
        parts = sealing.unbundled(sealed.open_sealed(data, sealed_keys.read(package.keys.sources)))
    else:
        names = [f"programs/{request.model}.{part}.bin" for part in PARTS]
        command, weights, host = _read(project, action, names, observer)
        parts = command, weights, host
    return Program(request.model, *parts)


def _read(project: Project, action: str, names: list[str], observer: Observer | None) -> list[bytes]:
    return [path.read_bytes() for path in _built(project, action, names, observer)]


OPENERS = {"float": _float, "fixed": _fixed, "hardware": _hardware}


def sample_files(project: Project, text: str) -> list[str]:
    """`[NAME=]SET` as one `[NAME=]FILE` for each file of that sample set; any other text as it is."""
    name, _, last = text.rpartition("=")
    if last not in project.manifest.spec.samples:
        return [text]
    found: dict[str, list[str]] = {}
    for sample in Sets(project.manifest).get(last).entries:
        for port, path in sample.files.items():
            found.setdefault(port or name, []).append(str(path))
    return [f"{port}{'=' if port else ''}{file}" for port, files in found.items() for file in files]


def _built(project: Project, action: str, names: list[str], observer: Observer | None) -> list[Path]:
    result = project.builder.build(project.plan.actions, [action], jobs=processors(), observer=observer)
    for failed, error in result.failures:
        raise located(project, failed, error)
    if not result.ok:
        raise ModelbuildError(f"{action} could not be built", exit_code=EXIT_FAILED)
    return [project.builder.output(result, action, name) for name in names]


__all__ = ["LEVELS", "is_pair", "open_form", "open_runner"]
