"""The manifest as loaded -> the actions that build everything in it. Reads no model and runs nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any

from modelbuild import toolchains
from modelbuild.build.action import Action, Resources
from modelbuild.manifest import edits, functions
from modelbuild.manifest.lockfile import MEASUREMENTS, QUANTIZATION, Lock, pair_name, record_path
from modelbuild.manifest.manifest import Manifest
from modelbuild.manifest.settings import effective
from modelbuild.manifest.shared import Shared
from modelbuild.stages.request import IN_MODEL, SHARED, ModelRequest, PackagedModel, PackageRequest


@dataclass(frozen=True)
class Plan:
    """Every action of a manifest, and what the names in it stand for."""

    actions: tuple[Action, ...]
    models: Mapping[tuple[str, str], ModelRequest]  # (model, target) -> request
    packages: Mapping[str, PackageRequest]

    def names(self) -> frozenset[str]:
        """The names of all actions."""
        return frozenset(action.name for action in self.actions)


def plan(manifest: Manifest, lock: Lock | None = None, *, remeasure: bool = False) -> Plan:
    """Pure but for listing sample files. Raises ModelbuildError for samples that are not there.

    With a `lock` what it holds stands for what samples tell: none are asked for, unless to `remeasure`."""
    shared = Shared(manifest)
    found = {pair: _request(manifest, shared, *pair, lock) for pair in manifest.pairs()}
    if lock is not None and remeasure:
        found = {pair: _remeasured(manifest, shared, request) for pair, request in found.items()}
    requests = _with_shared(found)
    packages = {name: _package(manifest, shared, name, requests, lock) for name in manifest.packages}
    actions: dict[str, Action] = {}
    for request in requests.values():
        toolchain = toolchains.named(_toolchain(manifest, request.target))
        for action in _model_actions(request, toolchain, shared):
            known = actions.setdefault(action.name, action)
            assert known is action or known == action, f"two targets plan {action.name} differently"
    for package in packages.values():
        toolchain = toolchains.named(_toolchain(manifest, package.target))
        for action in _package_actions(package, toolchain, shared):
            actions[action.name] = action
    return Plan(tuple(actions.values()), requests, packages)


def _with_shared(requests: Mapping[tuple[str, str], ModelRequest]) -> dict[tuple[str, str], ModelRequest]:
    written: dict[str, list[Any]] = {}
    for request in requests.values():
        written.setdefault(request.model, []).append((request.edit, request.normalising))
    watched = {request.model for request in requests.values() if request.paranoid}
    return {
        pair: replace(
            request,
            shared=all(same == (request.edit, request.normalising) for same in written[request.model]),
            paranoid=request.model in watched,
        )
        for pair, request in requests.items()
    }


def _toolchain(manifest: Manifest, target: str) -> str:
    return manifest.spec.targets[target].toolchain or manifest.recipes[target].toolchain


def _request(manifest: Manifest, shared: Shared, model: str, target: str, lock: Lock | None) -> ModelRequest:
    entry = manifest.spec.models[model]
    settings = effective(manifest, model, target)
    inputs = tuple(entry.inputs)
    request = ModelRequest(
        model=model,
        source=entry.source_name,
        url=entry.source_url,
        weights=entry.weights,
        source_digest=entry.source_digest,
        inputs={name: _input(given) for name, given in sorted(entry.inputs.items())},
        edit=tuple(edit for edit in settings.values["edit"] if edit != edits.TAIL),
        tail=edits.TAIL in settings.values["edit"],
        target=target,
        recipe=shared.recipe(target),
        settings=settings.values,
        calibration=shared.calibration(settings.values, inputs) if lock is None else None,
        evaluation=shared.evaluation(settings.values, inputs) if lock is None else None,
        record=settings.record,
        is_fixed=entry.is_fixed,
        labels=entry.labels,
        paranoid=bool(settings.values["optimize"].get("paranoid")),
        fingerprint=toolchains.named(_toolchain(manifest, target)).fingerprint(),
        recipes=shared.recipes,
        bounds={path: place for path, place in settings.origins.items() if path[0] == "accept"},
        functions=tuple(shared.function(spec) for spec in functions.of_bounds(settings)),
        boxes=None if (boxes := functions.of_boxes(settings, entry)) is None else shared.function(boxes),
    )
    return request if lock is None else _locked(request, lock)


def _locked(request: ModelRequest, lock: Lock) -> ModelRequest:
    """The request as the lock has it; of a model that it lacks, with a record where it would be."""
    if request.is_fixed:
        return request
    pair = request.model, request.target
    entry = lock.models.get(pair_name(*pair))
    if entry is None:
        return replace(request, record=record_path(*pair, QUANTIZATION)) if request.has_record else request
    return replace(request, record=entry.record(QUANTIZATION), measurements=entry.record(MEASUREMENTS))


def _remeasured(manifest: Manifest, shared: Shared, request: ModelRequest) -> ModelRequest:
    if request.measurements is None:
        return request
    inputs = tuple(manifest.spec.models[request.model].inputs)
    return replace(request, remeasured=shared.evaluation(request.settings, inputs))


def _input(given: Any) -> dict[str, Any]:
    settings = given.settings()
    described: dict[str, Any] = {"preprocess": settings}
    if IN_MODEL in settings:
        described = {"preprocess": given.host_settings(), IN_MODEL: settings}
    if given.shape is not None:
        described["shape"] = list(given.shape)
    return described


def _package(
    manifest: Manifest,
    shared: Shared,
    name: str,
    requests: Mapping[tuple[str, str], ModelRequest],
    lock: Lock | None,
) -> PackageRequest:
    package = manifest.packages[name]
    models = tuple(
        PackagedModel(requests[entry.name, package.target], entry.id, entry.version)
        for entry in package.models
    )
    project = manifest.spec.project
    toolchain = toolchains.named(_toolchain(manifest, package.target))
    locked = lock.packages.get(name) if lock is not None else None
    return PackageRequest(
        package=name,
        target=package.target,
        recipe=shared.recipe(package.target),
        models=models,
        project={"name": project.name, "version": project.version} if project else {},
        fingerprint=toolchain.fingerprint(),
        silicon=shared.recipe(package.target)["number_format"]["arithmetic"] in toolchain.SILICON,
        templates=shared.templates,
        keys=manifest.keys.get(name),
        include=package.include,
        locked_files=None if locked is None else locked.files,
    )


def _model_actions(request: ModelRequest, toolchain: ModuleType, shared: Shared) -> list[Action]:
    names = toolchain.STAGES_OF_FIXED if request.is_fixed else toolchain.STAGES
    return [_model_action(name, request, shared) for name in names if WANTED.get(name, _always)(request)]


def _always(request: ModelRequest | PackageRequest) -> bool:
    return True


# Stages that a model may do without -> whether it does them
WANTED: dict[str, Callable[[ModelRequest], bool]] = {
    "fetch": lambda request: request.url is not None,
    "observe": lambda request: request.observes,
    "check_calibration": lambda request: request.observes,
    "quantize": lambda request: request.has_record,
    "check_result": lambda request: request.has_record,
    "check_samples": lambda request: request.calibration is not None or request.evaluation is not None,
    "verify_fixed": lambda request: request.is_measured,
    "remeasure": lambda request: request.remeasured is not None,
}
WANTED_OF_PACKAGE: dict[str, Callable[[PackageRequest], bool]] = {
    "locked": lambda request: request.locked_files is not None,
}


def _model_action(stage: str, request: ModelRequest, shared: Shared) -> Action:
    module = _stage(stage)
    return Action(
        name=request.action(stage),
        function=f"{module.__name__}:run",
        version=module.VERSION,
        parameters=module.parameters(request),
        inputs=module.inputs(request),
        discover=getattr(module, "DISCOVER", None) if request.url is None else None,
        unkeyed=module.unkeyed(request) if hasattr(module, "unkeyed") else {},
        toolchain="" if stage in SHARED else request.fingerprint,
        libraries=shared.libraries(module, request),
        resources=_resources(module, request),
    )


_USUAL = Resources()


def _resources(module: ModuleType, *about: Any) -> Resources:
    """What the stage says that it takes, of all that it does or of this model."""
    own = getattr(module, "resources", None)
    found: Resources = own(*about) if own else getattr(module, "RESOURCES", _USUAL)
    return found


def _package_actions(request: PackageRequest, toolchain: ModuleType, shared: Shared) -> list[Action]:
    whole = [
        _package_action(stage, request, None, shared)
        for stage in toolchain.PACKAGE_STAGES
        if WANTED_OF_PACKAGE.get(stage, _always)(request)
    ]
    each = [
        _package_action(stage, request, model, shared)
        for stage in toolchain.STAGES_OF_PACKAGED_MODEL
        for model in request.models
    ]
    return [*whole, *each]


def _package_action(
    stage: str, request: PackageRequest, model: PackagedModel | None, shared: Shared
) -> Action:
    module = _stage(stage)
    about = (request,) if model is None else (request, model)
    return Action(
        name=request.action(stage, model.request.model if model else ""),
        function=f"{module.__name__}:run",
        version=module.VERSION,
        parameters=module.parameters(*about),
        inputs=module.inputs(*about),
        soft_inputs=module.soft_inputs(*about) if hasattr(module, "soft_inputs") else {},
        unkeyed=module.unkeyed(*about) if hasattr(module, "unkeyed") else {},
        secrets=module.secrets(*about) if hasattr(module, "secrets") else (),
        always=getattr(module, "ALWAYS", False),
        toolchain=request.fingerprint,
        libraries=shared.libraries(module),
        resources=_resources(module, *about),
    )


@cache
def _stage(name: str) -> ModuleType:
    return import_module(f"modelbuild.stages.{name}")
