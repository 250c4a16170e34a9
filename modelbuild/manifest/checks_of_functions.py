"""Checks of the functions that a manifest names, without running a line of them."""

from __future__ import annotations

import ast
from pathlib import Path

from modelbuild.artifacts.user_function import parted
from modelbuild.errors import ModelbuildError, did_you_mean
from modelbuild.manifest import tree
from modelbuild.manifest.checks_of_sources import check_file
from modelbuild.manifest.manifest import Manifest
from modelbuild.manifest.problems import Problems


def check_functions(manifest: Manifest, problems: Problems) -> None:
    """Functions whose file is missing or is not Python, or that their file does not define."""
    for name, model in manifest.spec.models.items():
        if model.postprocess is None:
            continue
        at = tree.place(manifest.tree, ("models", name, "postprocess"))
        try:
            file, function = parted(model.postprocess)
        except ModelbuildError as error:
            problems.error(f"`postprocess`: {error.problems[0].what}", at, advice=error.problems[0].advice)
            continue
        if check_file(manifest, file, at, "file of a function", problems):
            _defined(manifest.root / file, file, function, at, problems)


def _defined(path: Path, file: str, function: str, at: tree.Position, problems: Problems) -> None:
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
