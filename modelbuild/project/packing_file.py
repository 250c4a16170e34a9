"""`pack`: one model file -> one package file, without a manifest on the disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelbuild import input_file, output_file, whole_file
from modelbuild.artifacts.inspect import inspect
from modelbuild.artifacts.kinds import Kind, identify
from modelbuild.artifacts.kmodel_runner import beside, description, open_kmodel
from modelbuild.build.build import Builder
from modelbuild.build.jobs import processors
from modelbuild.build.result import BuildResult
from modelbuild.errors import EXIT_FAILED, ModelbuildError, Problem
from modelbuild.manifest.load import load
from modelbuild.manifest.plan import plan
from modelbuild.project.building import Observer
from modelbuild.project.checking import ranges
from modelbuild.project.measuring import Measured, measured
from modelbuild.project.options import DEFAULT, BuildOptions
from modelbuild.project.pack_manifest import PackRequest, text_of
from modelbuild.project.project import ENVIRONMENT, Project, located
from modelbuild.project.scratch import scratch
from modelbuild.stages.files import read_json
from modelbuild.stages.request import PackageRequest

MANIFEST = "(pack --print-manifest)"  # what messages call the manifest that there is no file of
SAVING = (
    "settings go into a file: `modelbuild pack … --print-manifest > models.yaml` saves it, write them there, "
    "and `modelbuild build`"
)
# package format -> what its files end in; `.sim` before it says that the program is for the simulator
SUFFIXES: Mapping[str, str] = {"nef": ".nef", "mpk": ".tar.gz", "kmodel": ".kmodel"}


@dataclass(frozen=True)
class Packed:
    """The file that was written, its size in bytes and digest; what was measured of the model in it.

    `preprocess` is input -> settings, `ranges` input -> (low, high) of what they make of 0..255. The SNR was
    measured on the `samples` that calibrated, so many. `description` is the file beside it that tells what a
    kmodel cannot hold: names and preprocessing."""

    path: Path
    size: int
    sha256: str
    chip: str
    silicon: bool
    id: int | None
    version: str
    measured: Measured
    preprocess: Mapping[str, Mapping[str, Any]]
    ranges: Mapping[str, list[list[float]]]
    samples: int
    description: Path | None = None

    def to_json(self) -> dict[str, Any]:
        """The object of `pack --json`."""
        found = self.measured
        return {
            "ok": True,
            "path": str(self.path),
            "description": None if self.description is None else str(self.description),
            "size": self.size,
            "sha256": self.sha256,
            "chip": self.chip,
            "silicon": self.silicon,
            "id": self.id,
            "version": self.version,
            "gate": "passed",
            "snr_db": dict(found.snr_db),
            "snr_measured_on": "calibration samples",
            "samples": self.samples,
            "preprocess": {name: dict(settings) for name, settings in self.preprocess.items()},
            "ranges": dict(self.ranges),
            "time_ms": found.time_ms,
            "evaluated_ms": found.evaluated_ms,
            "cycles": found.cycles,
            "cpu_nodes": found.cpu_nodes,
        }


def pack(
    request: PackRequest,
    output: Path,
    *,
    cache: Path | None = None,
    options: BuildOptions = DEFAULT,
    observer: Observer | None = None,
    warn: Callable[[str], None] = lambda text: None,
    force: bool = False,
) -> Packed:
    """Build the package and write it to `output`, whole or not at all; into a folder under its own name.

    What the build keeps lies in `cache`, where a second pack finds it, or in a temporary folder that is
    removed. A stage or bound that fails, a suffix that is not the format's, a file in the way that is no
    simulator package (but with `force`), and everything that is wrong with the request are ModelbuildErrors;
    `output` is then as it was."""
    text = text_of(request)
    with _state(cache) as state, _saving():
        project = open_text(text, request.directory, state)
        package = next(iter(project.plan.packages.values()))
        _check_output(output, package, force)
        for finding in project.manifest.warnings:
            warn(finding.message)
        result = _built(project, package, options, observer)
        for found_wrong in _of_samples(project, package, result):
            warn(found_wrong)
        made = result.outputs[package.action("package")]
        name = next(name for name in sorted(made) if name.startswith("files/"))
        path = output / Path(name).name if output.is_dir() else output
        _check_replaced(path, package, force)
        apart = _beside(path, package, force)
        data = project.builder.output(result, package.action("package"), name).read_bytes()
        model = package.models[0]
        names = {action: action for action in result.states}
        found = measured(project, result, model.request, package, names)
        if apart is not None:
            told = f"models/{model.request.model}.json"
            made_of_it = project.builder.output(result, package.action("package"), told)
            whole_file.write(apart, made_of_it.read_bytes())
        whole_file.write(path, data)
    calibration = model.request.calibration
    return Packed(
        path,
        len(data),
        made[name],
        package.recipe["chip"],
        package.silicon,
        model.id,
        model.version or "",
        found,
        model.request.preprocess,
        ranges(project).get(model.request.model, {}),
        len(calibration.files) if calibration else 0,
        apart,
    )


def manifest_of(request: PackRequest) -> str:
    """The models.yaml that a pack stands for, to be saved in `directory`. Raises what is wrong with it."""
    text = text_of(request)
    load(request.directory / MANIFEST, text=text)
    return text


def open_text(text: str, directory: Path, state: Path) -> Project:
    """The project of a manifest that is no file; what is built is remembered in `state`."""
    manifest = load(directory / MANIFEST, text=text)
    return Project(manifest, plan(manifest), Builder(manifest.root, state, environment=ENVIRONMENT))


@contextmanager
def _state(cache: Path | None) -> Iterator[Path]:
    if cache is not None:
        yield cache
        return
    with scratch("modelbuild-pack-") as folder:
        yield folder


@contextmanager
def _saving() -> Iterator[None]:
    """Says of what failed by the manifest how to have it as a file: advice is to be written into one."""
    try:
        yield
    except ModelbuildError as error:
        if error.exit_code != EXIT_FAILED or not error.problems[0].where.startswith(MANIFEST):
            raise
        first, *others = error.problems
        parted = "\n       " if "\n" in first.advice else "; "  # a list of advice is indented
        first = first._replace(advice=parted.join(filter(None, (first.advice, SAVING))))
        raise ModelbuildError.of([first, *others], EXIT_FAILED) from None


def _of_samples(project: Project, package: PackageRequest, result: BuildResult) -> list[str]:
    """What the calibration samples tell, and what to do."""
    action = package.models[0].request.action("check_calibration")
    if action not in result.outputs:
        return []
    found = read_json(project.builder.output(result, action, "calibration.json"))["findings"]
    return [f"{one['message']}\n  do:  {one['advice']}" for one in found]


def _check_output(output: Path, package: PackageRequest, force: bool) -> None:
    form = package.recipe["container"]["format"]
    if not output.is_dir() and not output.name.lower().endswith(SUFFIXES[form]):
        chip = package.recipe["chip"]
        raise ModelbuildError(
            f"-o {output.name} is no name for what the {chip} loads",
            why=f"its packages are {form} files",
            advice=f"write -o NAME{SUFFIXES[form]}, or name a folder",
        )
    if not output.is_dir():
        _check_replaced(output, package, force)


def _check_replaced(path: Path, package: PackageRequest, force: bool) -> None:
    """Refuses to write over what may be the only copy of a vendor's package."""
    if (
        output_file.check(path)
        or force
        or not path.exists()
        or _is_simulated(path, package.recipe["container"]["format"])
    ):
        return
    raise ModelbuildError(
        f"-o would overwrite a file that no pack has written: {path.name}",
        where=str(path.parent),
        why="it may hold a vendor's program",
        advice="name another file, or add --force to replace it",
    )


def _beside(path: Path, package: PackageRequest, force: bool) -> Path | None:
    """Where `run` looks for what a kmodel cannot hold. Refuses to write over a file of the user's own."""
    if package.recipe["container"]["format"] != Kind.KMODEL or whole_file.is_stream(path):
        return None
    place = beside(path)
    if not force and place.exists() and description(place) is None:
        raise ModelbuildError(
            f"{place.name} lies where the names and preprocessing of the kmodel go",
            where=str(place.parent),
            why="no build and no pack has written it",
            advice="name another file with -o, or add --force to replace it",
        )
    output_file.check(place)
    return place


def _is_simulated(path: Path, form: str) -> bool:
    """Whether the file is empty, or a package of modelbuild's own: of a kmodel, one with its description."""
    try:
        if path.is_file() and not path.stat().st_size:
            return True
        if form == Kind.KMODEL and identify(path) is Kind.KMODEL:  # which has no word of who made it
            return open_kmodel(path, input_file.read(path), path.stem).is_described
        found = inspect(path)
    except (ModelbuildError, OSError):
        return False
    return found["format"] == form and found["silicon"] is False


def _built(
    project: Project, package: PackageRequest, options: BuildOptions, observer: Observer | None
) -> BuildResult:
    result = project.builder.build(
        project.plan.actions,
        [package.action("gate")],
        jobs=processors() if options.jobs is None else options.jobs,
        memory=options.memory,
        observer=observer,
    )
    problems: list[Problem] = []
    codes = []
    for action, error in result.failures:
        problems += [one for one in located(project, action, error).problems if one not in problems]
        codes.append(error.exit_code)
    if not result.ok:
        raise ModelbuildError.of(
            problems or [Problem("the package could not be built")], max(codes, default=EXIT_FAILED)
        )
    return result
