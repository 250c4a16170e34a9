"""Checks of sample sets, and of what models ask of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from modelbuild import lfs
from modelbuild.errors import ModelbuildError
from modelbuild.manifest import edits, tree
from modelbuild.manifest.checks import complete
from modelbuild.manifest.checks_of_quantization import check_measurable
from modelbuild.manifest.checks_of_sources import check_file
from modelbuild.manifest.manifest import Manifest
from modelbuild.manifest.problems import Problems
from modelbuild.manifest.samples import Chosen, Sets
from modelbuild.manifest.settings import Settings
from modelbuild.quantize.goals import OF_BOXES, OF_CLASSES, some_box
from modelbuild.samples.labels import BOXES, CLASSES, kind_of
from modelbuild.samples.loader import SampleSet
from modelbuild.stages import backends


def check_sets(manifest: Manifest, sets: Sets, problems: Problems) -> None:
    """Every sample set: its files are there, are themselves, and fit their labels."""
    for name in manifest.spec.samples:
        if not complete(manifest, "samples", name):
            continue
        try:
            samples = sets.get(name)
        except ModelbuildError as error:
            problems.adopt(_relative(error, manifest), _place_of(error, name, manifest))
            continue
        _check_pointers(samples, name, manifest, problems)


def _relative(error: ModelbuildError, manifest: Manifest) -> ModelbuildError:
    """The same error with paths as the manifest writes them."""
    prefix = f"{manifest.root}/"
    return ModelbuildError.of(
        problem._replace(
            where=problem.where.removeprefix(prefix),
            what=problem.what.replace(prefix, ""),
            why=problem.why.replace(prefix, ""),
        )
        for problem in error.problems
    )


def _place_of(error: ModelbuildError, name: str, manifest: Manifest) -> tree.Position:
    """The `labels` where the error is about them, else the pattern that is named, else the set's files."""
    base: tree.Path = ("samples", name)
    written = manifest.spec.samples[name]
    where = error.problems[0].where
    if written.labels is not None and (written.labels in where or "label" in error.problems[0].what):
        return tree.place(manifest.tree, (*base, "labels"))
    for path in _patterns(manifest, name):
        node = tree.find(manifest.tree, path)
        if isinstance(node, tree.Scalar) and node.text == where:
            return node.at
    return tree.place(manifest.tree, (*base, "inputs" if written.inputs else "files"))


def _patterns(manifest: Manifest, name: str) -> list[tree.Path]:
    written = manifest.spec.samples[name]
    if written.files is not None:
        groups: list[tuple[tree.Path, tuple[str, ...]]] = [(("samples", name, "files"), written.files)]
    else:
        groups = [
            (("samples", name, "inputs", key, "files"), given.files)
            for key, given in (written.inputs or {}).items()
        ]
    return [
        path for base, files in groups for path in (base, *((*base, index) for index in range(len(files))))
    ]


def _check_pointers(samples: SampleSet, name: str, manifest: Manifest, problems: Problems) -> None:
    files = {path for sample in samples.entries for path in sample.files.values()}
    pointers = sorted(
        path for path in files if path.stat().st_size <= lfs.LARGEST_POINTER and lfs.is_pointer(path)
    )
    if pointers:
        problems.error(
            f"{len(pointers)} of the {len(files)} files of the sample set `{name}` are Git LFS pointers",
            tree.place(manifest.tree, ("samples", name, "files")),
            f"the first is {_shown(pointers[0], manifest)}",
            lfs.ADVICE,
        )


def _shown(path: Path, manifest: Manifest) -> str:
    return str(path).removeprefix(f"{manifest.root}/")


def check_preprocessing(manifest: Manifest, problems: Problems) -> None:
    """What the schema cannot see of preprocessing: lengths of lists, values out of range."""
    for model_name, model in manifest.spec.models.items():
        for input_name, given in model.inputs.items():
            path = ("models", model_name, "inputs", input_name, "preprocess")
            try:
                given.settings()
            except ModelbuildError as error:
                for problem in error.problems:
                    key = problem.where.rpartition(".")[2]
                    problems.error(
                        problem.what, tree.place(manifest.tree, (*path, key)), problem.why, problem.advice
                    )


def check_use(manifest: Manifest, settings: Settings, sets: Sets, problems: Problems) -> None:
    """What one model on one target asks of sample sets: that there are some, enough, and labelled."""
    model = manifest.spec.models[settings.model]
    if model.is_fixed:
        return
    values = settings.values
    for path in edits.files(values["edit"]):
        check_file(manifest, path, settings.origin(("edit",)), "file of an edit's weights", problems)
    if settings.scheme is not None:
        check_file(manifest, settings.scheme, settings.origin(("quantize", "scheme")), "scheme", problems)
    if settings.record is not None:
        check_file(
            manifest,
            settings.record,
            settings.origin(("quantize", "record")),
            "quantization record",
            problems,
        )
    elif (
        values["calibration"] is None
        and backends.of_arithmetic(manifest.recipes[settings.target].number_format.arithmetic).has_record
        and complete(manifest, "models", settings.model)
        and complete(manifest, "defaults")
    ):
        problems.error(
            f"the model `{settings.model}` has no calibration samples",
            tree.place(manifest.tree, ("models", settings.model), of_key=True),
            f"quantizing it for {settings.target} needs samples to see the range of each tensor",
            "add `calibration: {set: NAME, count: 64}`; sample sets stand under `samples:`",
        )
    calibration = _chosen(manifest, settings, "calibration", sets, problems)
    evaluation = _chosen(manifest, settings, "evaluation", sets, problems)
    if calibration and evaluation:
        _warn_shared(settings, sets.shared(calibration, evaluation), manifest, problems)
    # a set that is named but could not be read, or a key that could not, has its own error already
    named = values["evaluation"] is not None or not complete(manifest, "models", settings.model)
    _check_labels(manifest, settings, evaluation if named else calibration, problems)
    if calibration and complete(manifest, "samples", calibration.name):
        check_measurable(settings, calibration, evaluation if named else calibration, problems)


def _chosen(
    manifest: Manifest, settings: Settings, use: str, sets: Sets, problems: Problems
) -> Chosen | None:
    choice: dict[str, Any] | None = settings.values[use]
    if choice is None or choice["set"] not in manifest.spec.samples:
        return None
    name = choice["set"]
    if not complete(manifest, "samples", name):
        return None
    try:
        samples = sets.get(name)
    except ModelbuildError:
        return None  # check_sets has said why
    total = len(samples.entries)
    if choice["count"] is not None and choice["count"] > total:
        problems.error(
            f"{choice['count']} {use} samples asked for, the set `{name}` has {total}",
            settings.origin((use, "count")),
            advice=f"write `count: {total}` or less, or add samples",
        )
        return None
    inputs = tuple(manifest.spec.models[settings.model].inputs)
    try:
        return sets.choose(choice, inputs)
    except ModelbuildError as error:
        problems.adopt(_relative(error, manifest), settings.origin((use, "set")))
        return None


def _warn_shared(settings: Settings, shared: int, manifest: Manifest, problems: Problems) -> None:
    if shared:
        path = ("models", settings.model, "evaluation")
        problems.warn(
            "MB005",
            f"{shared} samples of `{settings.model}` are in both its calibration and its evaluation",
            tree.place(manifest.tree, path),
            "evaluate on samples that the ranges were not chosen from",
        )


def _check_labels(manifest: Manifest, settings: Settings, chosen: Chosen | None, problems: Problems) -> None:
    """Bounds on accuracy whose samples have no labels, or labels of another kind."""
    if chosen is None or not complete(manifest, "samples", chosen.name):
        return
    has = None if chosen.labels is None else kind_of(chosen.labels)
    for key, needed in _NEEDED_LABELS.items():
        if key not in settings.values["accept"]:
            continue
        if has == BOXES == needed and not some_box(chosen.labels or ()):
            what = f"`{key}` cannot be measured: there is no box in the evaluation set `{chosen.name}`"
            advice = "label samples that show something, or name another set in `evaluation:`"
        elif has == needed:
            continue
        elif has is None:
            what = f"`{key}` needs labels, and the sample set `{chosen.name}` has none"
            advice = f"add `labels:` to `{chosen.name}`, or name another set in `evaluation:`"
        else:
            what = f"`{key}` needs {needed}, and the labels of `{chosen.name}` are {has}"
            advice = "docs/models-yaml.md has the forms of labels; or name another set in `evaluation:`"
        problems.error(what, settings.origin(("accept", key)), advice=advice)


_NEEDED_LABELS = {**dict.fromkeys(OF_CLASSES, CLASSES), **dict.fromkeys(OF_BOXES, BOXES)}
