"""Checks of the functions that a manifest names, without running a line of them."""

from __future__ import annotations

import ast
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from modelbuild.artifacts.user_function import parted
from modelbuild.errors import ModelbuildError, did_you_mean
from modelbuild.manifest import functions, tree
from modelbuild.manifest.accept import FUNCTION
from modelbuild.manifest.checks import complete
from modelbuild.manifest.checks_of_sources import check_file
from modelbuild.manifest.manifest import Manifest
from modelbuild.manifest.options import written
from modelbuild.manifest.problems import Problems
from modelbuild.manifest.settings import Settings
from modelbuild.quantize.goals import OF_BOXES


def check_functions(manifest: Manifest, problems: Problems) -> None:
    """Postprocessing functions whose file is missing or is not Python, or that their file does not define."""
    for name, model in manifest.spec.models.items():
        if model.postprocess is not None:
            at = tree.place(manifest.tree, ("models", name, "postprocess"))
            _check(manifest, model.postprocess, "postprocess", at, problems)
    _check_taken_away(manifest, problems)


def _check_taken_away(manifest: Manifest, problems: Problems) -> None:
    """Functions whose bounds are taken away everywhere and set nowhere: whoever wrote them thinks that they
    are held."""
    blocks = list(_blocks(manifest))
    further = [
        *manifest.recipe_settings.values(),
        *(each.values for each in manifest.overrides),
    ]
    everywhere = [given for _, given in blocks] + further
    bounded = {spec for given in everywhere for spec, bounds in _functions(given) if _says(bounds)}
    for path, given in blocks:
        for spec, bounds in _functions(given):
            if not _says(bounds) and spec not in bounded:
                problems.error(
                    f"the function `{spec}` has no bound",
                    tree.place(manifest.tree, (*path, "accept", FUNCTION, spec), of_key=True),
                    "a bound with nothing after it takes away an inherited one, and there is none",
                    "write `at_least`, `at_most`, `drop` or `rise` with a number, or take it out",
                )


def _blocks(manifest: Manifest) -> Iterator[tuple[tree.Path, Mapping[str, Any]]]:
    """The settings of every place of the manifest, as written."""
    spec = manifest.spec
    yield ("defaults",), written(spec.defaults)
    for section, entries in (("targets", spec.targets), ("models", spec.models)):
        for name, entry in entries.items():
            yield (section, name), written(entry)
    for name, model in spec.models.items():
        for target, settings in model.targets.items():
            yield ("models", name, "targets", target), written(settings)


def _functions(given: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    return ((given.get("accept") or {}).get(FUNCTION) or {}).items()


def _says(bounds: Any) -> bool:
    return (
        any(bound is not None for bound in bounds.values())
        if isinstance(bounds, Mapping)
        else bounds is not None
    )


def check_measures(manifest: Manifest, settings: Settings, problems: Problems) -> None:
    """The same of functions that bounds of a model name, and bounds that need boxes that nothing makes."""
    for spec in functions.of_bounds(settings):
        at = settings.origin(("accept", FUNCTION, spec))
        _check(manifest, spec, "accept: function", at, problems)
        bounds = settings.values["accept"][FUNCTION][spec]
        if bounds.get("at_least", -math.inf) > bounds.get("at_most", math.inf):
            problems.error(
                f"no value of `{spec}` is at least {bounds['at_least']:g} and at most {bounds['at_most']:g}",
                at,
                advice="exchange them, or take one out",
            )
    model = manifest.spec.models[settings.model]
    asked = [key for key in OF_BOXES if key in settings.values["accept"]]
    if asked and model.postprocess is None and complete(manifest, "models", settings.model):
        problems.error(
            f"`{asked[0]}` needs boxes, and the model `{settings.model}` has no `postprocess`",
            settings.origin(("accept", asked[0])),
            "a function makes boxes, scores and classes of the model's outputs",
            "add `postprocess: FILE.py:FUNCTION` to the model",
        )


def _check(manifest: Manifest, spec: str, key: str, at: tree.Position | str, problems: Problems) -> None:
    try:
        file, function = parted(spec)
    except ModelbuildError as error:
        problems.error(f"`{key}`: {error.problems[0].what}", at, advice=error.problems[0].advice)
        return
    if check_file(manifest, file, at, "file of a function", problems):
        _defined(manifest.root / file, file, function, at, problems)


def _defined(path: Path, file: str, function: str, at: tree.Position | str, problems: Problems) -> None:
    try:
        module = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = f":{error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        problems.error(f"{file} is not Python that can be read", at, f"{file}{line}: {error}")
        return
    except OSError as error:
        problems.error(f"{file} cannot be read", at, error.strerror or "")
        return
    own = _names(module)
    if own is not None and function not in own:
        likely = [node.name for node in module.body if isinstance(node, ast.FunctionDef)]
        problems.error(
            f"{file} defines no function `{function}`",
            at,
            advice=did_you_mean(function, likely) or f"it has {', '.join(likely) or 'none'}",
        )


def _names(module: ast.Module) -> list[str] | None:
    """What a module defines at its top; None where only running it tells."""
    found: list[str] = []
    for node in module.body:
        match node:
            case ast.FunctionDef() | ast.ClassDef():
                found.append(node.name)
            case ast.Import() | ast.ImportFrom():
                found += [alias.asname or alias.name for alias in node.names]
            case ast.Assign():
                assigned = [item for target in node.targets for item in ast.walk(target)]
                found += [item.id for item in assigned if isinstance(item, ast.Name)]
            case ast.AnnAssign(target=ast.Name(id=name)):
                found.append(name)
            case ast.Expr():
                pass
            case _:
                return None
    return None if "*" in found else found
