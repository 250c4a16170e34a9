"""Checks of the functions that a manifest names, without running a line of them."""

from __future__ import annotations

import ast
from pathlib import Path

from modelbuild.artifacts.user_function import parted
from modelbuild.errors import ModelbuildError, did_you_mean
from modelbuild.manifest import functions, tree
from modelbuild.manifest.accept import FUNCTION
from modelbuild.manifest.checks import complete
from modelbuild.manifest.checks_of_sources import check_file
from modelbuild.manifest.manifest import Manifest
from modelbuild.manifest.problems import Problems
from modelbuild.manifest.settings import Settings
from modelbuild.quantize.goals import OF_BOXES


def check_functions(manifest: Manifest, problems: Problems) -> None:
    """Postprocessing functions whose file is missing or is not Python, or that their file does not define."""
    for name, model in manifest.spec.models.items():
        if model.postprocess is not None:
            at = tree.place(manifest.tree, ("models", name, "postprocess"))
            _check(manifest, model.postprocess, "postprocess", at, problems)


def check_measures(manifest: Manifest, settings: Settings, problems: Problems) -> None:
    """The same of functions that bounds of a model name, and bounds that need boxes that nothing makes."""
    for spec in functions.of_bounds(settings):
        at = settings.origin(("accept", FUNCTION, spec))
        _check(manifest, spec, "accept: function", at, problems)
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
