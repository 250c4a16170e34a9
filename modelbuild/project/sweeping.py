"""`sweep`: one model on one target under many settings, built in one plan, measured and ranked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from modelbuild.build.jobs import processors
from modelbuild.build.plan import plan as graph_of
from modelbuild.build.result import BuildResult
from modelbuild.errors import EXIT_FAILED, ModelbuildError, Problem
from modelbuild.manifest import overrides, select
from modelbuild.manifest.manifest import Manifest
from modelbuild.manifest.packages import DEFAULT_VERSION, Package, PackagedModel
from modelbuild.manifest.plan import Plan, plan
from modelbuild.manifest.problems import Problems
from modelbuild.manifest.scaffold import FIRST_ID
from modelbuild.project.building import Observer
from modelbuild.project.comparing import common_evaluation
from modelbuild.project.measuring import measured
from modelbuild.project.merging import Merged
from modelbuild.project.options import DEFAULT, BuildOptions
from modelbuild.project.project import Project, located
from modelbuild.project.rooting import note_roots
from modelbuild.project.sweep_report import SweepReport, Variant, marked
from modelbuild.project.variants import combinations
from modelbuild.stages.request import ModelRequest

_ENDS = ("verify_fixed", "evaluate", "check", "compile")  # what a row is measured by, beside the package


@dataclass(frozen=True)
class _Planned:
    """A variant's own plan, and the names that its actions have in the plan of all. `evaluation`: what its
    own settings name, whatever all rows are measured on."""

    variant: Variant
    plan: Plan | None = None
    names: Mapping[str, str] | None = None
    evaluation: object = None


def sweep(
    project: Project,
    pair: str,
    tries: Sequence[str],
    options: BuildOptions = DEFAULT,
    observer: Observer | None = None,
) -> SweepReport:
    """Build MODEL@TARGET with every combination of `tries` (`KEY=a,b`), and as the manifest has it.

    What combinations share is built once, and nothing is put into `dist/`. All are measured on the same
    samples. A combination that cannot be built is a row that says why; a name or key that is wrong, or a key
    that takes none of its values, is a ModelbuildError before any work."""
    package = _package(project, pair)
    tried = _variants(project, package, combinations(tries))
    manifests = Variant(0, dict.fromkeys(tried[0].settings, ""), ())
    everyone = [_planned(project, package, variant) for variant in (manifests, *tried)]
    common = common_evaluation([_request(one, package) for one in everyone if one.plan is not None])
    if common is not None:
        everyone = [_planned_again(project, package, one, common.override) for one in everyone]
    merged = Merged()
    # The manifest's own settings come first: what the others share with them keeps its plain name.
    own, *planned = [_merged(one, package, merged) for one in everyone]
    planned = [_marked_current(one, own) for one in planned]
    if not any(one.variant.current for one in planned):
        planned.insert(0, _marked_current(own, own))
    goals = list(dict.fromkeys(name for one in planned for name in _goals(one, package)))
    result = project.builder.build(
        merged.actions,
        goals,
        jobs=processors() if options.jobs is None else options.jobs,
        memory=options.memory,
        offline=options.offline,
        keep_going=options.keep_going,
        retry=options.retry,
        observer=observer,
    )
    note_roots(project, [f"sweep:{pair}", *tries], options, whole=False)
    rows = [_row(project, result, merged, one, package) for one in planned]
    model = package.models[0].name
    return SweepReport(model, package.target, tuple(rows[0].settings), marked(rows), common)


def _package(project: Project, pair: str) -> Package:
    """A package of nothing but the model, with the id that its own package gives it."""
    model, at, target = pair.partition("@")
    if not at:
        raise ModelbuildError(f"`{pair}` is not MODEL@TARGET", advice="write for instance face_detect@cam")
    select.select(project.manifest, [pair])  # names that do not exist are an error with the nearest
    entry, form = PackagedModel(model, FIRST_ID, DEFAULT_VERSION, ("models", model)), None
    for package in project.manifest.packages.values():
        found = next((one for one in package.models if one.name == model), None)
        if package.target == target and found is not None:
            entry, form = found, package.format
            break
    return Package(pair, pair, target, form, (entry,))


def _variants(project: Project, package: Package, tried: Sequence[Mapping[str, str]]) -> list[Variant]:
    """The combinations, numbered from 1; one with a value that its key does not take has the error of that.
    Raises all that is wrong with keys that take none of their values."""
    _refuse_fixed(project, package.models[0].name, tried)
    problems = Problems()
    known = {}
    for key in tried[0]:
        read = {text: _read(text) for text in dict.fromkeys(f"{key}={values[key]}" for values in tried)}
        if all(isinstance(one, ModelbuildError) for one in read.values()):
            problems.keep_all(problem for one in read.values() for problem in _problems(one))
        known.update(read)
    problems.raise_any()
    variants = []
    for number, values in enumerate(tried, 1):
        laid = [known[f"{key}={value}"] for key, value in values.items()]
        wrong = [problem for one in laid for problem in _problems(one)]
        items = tuple(item for one in laid if not isinstance(one, ModelbuildError) for item in one)
        error = ModelbuildError.of(wrong) if wrong else None
        variants.append(Variant(number, values, items, error=error))
    return variants


def _read(text: str) -> tuple[overrides.Override, ...] | ModelbuildError:
    problems = Problems()
    found = overrides.read([text], problems)
    try:
        problems.raise_any()
    except ModelbuildError as error:
        option = "--set "  # what a setting of one run is called elsewhere
        return ModelbuildError.of(
            problem._replace(where="--try " + problem.where.removeprefix(option))
            if problem.where.startswith(option)
            else problem
            for problem in error.problems
        )
    return found


def _problems(read: tuple[overrides.Override, ...] | ModelbuildError) -> tuple[Problem, ...]:
    return tuple(read.problems) if isinstance(read, ModelbuildError) else ()


def _refuse_fixed(project: Project, model: str, tried: Sequence[Mapping[str, str]]) -> None:
    spec = project.manifest.spec.models[model]
    useless = [key for key in tried[0] if spec.is_fixed and key.split(".")[0] not in {"compile", "verify"}]
    if useless:
        raise ModelbuildError(
            f"--try {useless[0]} changes nothing",
            where=project.manifest.position(("models", model, "source")),
            why=f"{model} is a fixed-point model, imported and quantized already",
            advice="sweep the float model that it was made from",
        )


def _narrowed(project: Project, package: Package, laid: Sequence[overrides.Override]) -> Manifest:
    manifest = project.manifest
    return replace(
        manifest, packages={package.name: package}, overrides=(*manifest.overrides, *laid), examined={}
    )


def _planned(
    project: Project, package: Package, variant: Variant, more: Sequence[overrides.Override] = ()
) -> _Planned:
    if variant.error is not None:
        return _Planned(variant)
    try:
        planned = plan(_narrowed(project, package, (*variant.overrides, *more)))
    except ModelbuildError as error:
        return _Planned(replace(variant, error=error))
    found = _Planned(variant, planned)
    return replace(found, evaluation=_request(found, package).settings["evaluation"])


def _planned_again(project: Project, package: Package, one: _Planned, more: overrides.Override) -> _Planned:
    if one.plan is None:
        return one
    return replace(_planned(project, package, one.variant, [more]), evaluation=one.evaluation)


def _merged(one: _Planned, package: Package, merged: Merged) -> _Planned:
    if one.plan is None:
        return one
    needed = graph_of(one.plan.actions, _ends(one.plan, package)).actions
    return replace(one, names=merged.add(needed.values(), one.variant.label))


def _request(one: _Planned, package: Package) -> ModelRequest:
    assert one.plan is not None
    return one.plan.models[package.models[0].name, package.target]


def _marked_current(one: _Planned, own: _Planned) -> _Planned:
    """Marks what comes to the same actions and bounds as the manifest's own settings."""
    same = one.names is not None and one.names == own.names and _bounds(one) == _bounds(own)
    same = same and one.evaluation == own.evaluation
    return replace(one, variant=replace(one.variant, current=same))


def _bounds(one: _Planned) -> list[object]:
    return [request.settings["accept"] for request in one.plan.models.values()] if one.plan else []


def _ends(planned: Plan, package: Package) -> list[str]:
    model = package.models[0].name
    request = planned.models[model, package.target]
    ends = [request.action(stage) for stage in _ENDS]
    whole = planned.packages[package.name]
    ends += [whole.action("package"), whole.action("verify_hardware", model)]
    return [name for name in ends if name in planned.names()]


def _goals(one: _Planned, package: Package) -> list[str]:
    if one.plan is None or one.names is None:
        return []
    return [one.names[name] for name in _ends(one.plan, package)]


def _row(project: Project, result: BuildResult, merged: Merged, one: _Planned, package: Package) -> Variant:
    if one.plan is None or one.names is None:
        return one.variant
    needed = graph_of(merged.actions, _goals(one, package)).order
    broken = [name for name in needed if result.states[name] in {"failed", "skipped"}]
    if broken:
        errors = dict(result.failures)
        failed = next((name for name in broken if name in errors), None)
        error = (
            located(project, merged.plain(failed), errors[failed])
            if failed
            else ModelbuildError(
                "not built: the sweep stopped when another combination failed",
                advice="build the others with --keep-going",
                exit_code=EXIT_FAILED,
            )
        )
        return replace(one.variant, error=error)
    whole = one.plan.packages[package.name]
    request = _request(one, package)
    return replace(one.variant, measured=measured(project, result, request, whole, one.names))
