"""modelbuild from Python: what the command line calls, and the objects that its `--json` prints.

What is not defined here is imported when it is asked for: a program loads what it uses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelbuild.errors import ModelbuildError
from modelbuild.project.options import BuildOptions

if TYPE_CHECKING:
    from modelbuild.artifacts.nef_files import combine as nef_combine
    from modelbuild.artifacts.nef_files import edit as nef_set
    from modelbuild.artifacts.nef_files import extract as nef_extract
    from modelbuild.artifacts.nef_files import generate as nef_generate
    from modelbuild.artifacts.opening import compare, open_file, run, run_opened
    from modelbuild.artifacts.postprocess import Postprocess
    from modelbuild.artifacts.running import save as save_outputs
    from modelbuild.artifacts.sealed_files import decrypt as nef_decrypt
    from modelbuild.artifacts.sealed_files import encrypt as nef_encrypt
    from modelbuild.build.survey import ActionStatus
    from modelbuild.build.why import Explanation
    from modelbuild.chips.load import chip_names as chips
    from modelbuild.chips.recipe import Recipe
    from modelbuild.npu.predicting.assumptions import Options
    from modelbuild.project.assuming import assumed
    from modelbuild.project.building import build, clean
    from modelbuild.project.checking import check
    from modelbuild.project.configured import config, configs, overridden
    from modelbuild.project.converting import convert
    from modelbuild.project.dumping import dump
    from modelbuild.project.edit_file import read as edits_in
    from modelbuild.project.forms import open_form, postprocess_of, sample_files
    from modelbuild.project.graphing import graph
    from modelbuild.project.locking import check as check_lock
    from modelbuild.project.locking import lock
    from modelbuild.project.packing_file import pack
    from modelbuild.project.predicting import Answer, Asked, answers
    from modelbuild.project.predicting import evaluate as evaluate_selected
    from modelbuild.project.project import Project, open_project
    from modelbuild.project.staged_check import check_staged
    from modelbuild.project.standing import standings
    from modelbuild.project.starting import init
    from modelbuild.project.sweeping import sweep
    from modelbuild.quantize import radix

__all__ = [
    "Answer",
    "Asked",
    "BuildOptions",
    "ModelbuildError",
    "Postprocess",
    "Project",
    "answers",
    "assumed",
    "build",
    "check",
    "check_lock",
    "check_page",
    "check_staged",
    "chips",
    "clean",
    "compare",
    "config",
    "configs",
    "convert",
    "diff",
    "dump",
    "edits_in",
    "evaluate",
    "evaluate_selected",
    "graph",
    "init",
    "inspect",
    "lock",
    "nef_combine",
    "nef_decrypt",
    "nef_encrypt",
    "nef_extract",
    "nef_generate",
    "nef_set",
    "open_file",
    "open_form",
    "open_project",
    "overridden",
    "pack",
    "postprocess_of",
    "radix",
    "recipe",
    "run",
    "run_opened",
    "sample_files",
    "save_outputs",
    "standings",
    "status",
    "sweep",
    "why",
    "write_page",
    "write_page_of_diff",
]

# name here -> where it is, and its name there
_ELSEWHERE = {
    "Answer": ("modelbuild.project.predicting", "Answer"),
    "Asked": ("modelbuild.project.predicting", "Asked"),
    "Postprocess": ("modelbuild.artifacts.postprocess", "Postprocess"),
    "Project": ("modelbuild.project.project", "Project"),
    "answers": ("modelbuild.project.predicting", "answers"),
    "assumed": ("modelbuild.project.assuming", "assumed"),
    "build": ("modelbuild.project.building", "build"),
    "check": ("modelbuild.project.checking", "check"),
    "check_lock": ("modelbuild.project.locking", "check"),
    "check_staged": ("modelbuild.project.staged_check", "check_staged"),
    "chips": ("modelbuild.chips.load", "chip_names"),
    "clean": ("modelbuild.project.building", "clean"),
    "compare": ("modelbuild.artifacts.opening", "compare"),
    "config": ("modelbuild.project.configured", "config"),
    "configs": ("modelbuild.project.configured", "configs"),
    "convert": ("modelbuild.project.converting", "convert"),
    "dump": ("modelbuild.project.dumping", "dump"),
    "edits_in": ("modelbuild.project.edit_file", "read"),
    "evaluate_selected": ("modelbuild.project.predicting", "evaluate"),
    "graph": ("modelbuild.project.graphing", "graph"),
    "init": ("modelbuild.project.starting", "init"),
    "lock": ("modelbuild.project.locking", "lock"),
    "nef_combine": ("modelbuild.artifacts.nef_files", "combine"),
    "nef_decrypt": ("modelbuild.artifacts.sealed_files", "decrypt"),
    "nef_encrypt": ("modelbuild.artifacts.sealed_files", "encrypt"),
    "nef_extract": ("modelbuild.artifacts.nef_files", "extract"),
    "nef_generate": ("modelbuild.artifacts.nef_files", "generate"),
    "nef_set": ("modelbuild.artifacts.nef_files", "edit"),
    "open_file": ("modelbuild.artifacts.opening", "open_file"),
    "open_form": ("modelbuild.project.forms", "open_form"),
    "open_project": ("modelbuild.project.project", "open_project"),
    "overridden": ("modelbuild.project.configured", "overridden"),
    "postprocess_of": ("modelbuild.project.forms", "postprocess_of"),
    "pack": ("modelbuild.project.packing_file", "pack"),
    "radix": ("modelbuild.quantize", "radix"),
    "run": ("modelbuild.artifacts.opening", "run"),
    "run_opened": ("modelbuild.artifacts.opening", "run_opened"),
    "sample_files": ("modelbuild.project.forms", "sample_files"),
    "save_outputs": ("modelbuild.artifacts.running", "save"),
    "standings": ("modelbuild.project.standing", "standings"),
    "sweep": ("modelbuild.project.sweeping", "sweep"),
}


def __getattr__(name: str) -> Any:
    if name not in _ELSEWHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, there = _ELSEWHERE[name]
    return getattr(import_module(module), there)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def status(project: Project, names: Sequence[str] = ()) -> dict[str, ActionStatus]:
    """What a build of the selection would find for each action it needs. Runs nothing."""
    from modelbuild.project.goals import goals

    return project.builder.status(project.plan.actions, goals(project, names))


def why(project: Project, name: str) -> list[Explanation]:
    """Why an action, or each action of a MODEL, MODEL@TARGET or PACKAGE, ran last and would run next."""
    from modelbuild.project.goals import actions_named

    return [project.builder.why(project.plan.actions, action) for action in actions_named(project, name)]


def evaluate(
    source: str | Path,
    chip: str,
    *,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
    options: Options | None = None,
    weights: str | Path | None = None,
    edition: str | None = None,
) -> dict[str, Any]:
    """The predicted speed of a model file on a chip, without a manifest: the object of `evaluate --json`.
    `edition` is that of the operator table, the newest unless told."""
    from modelbuild.project import predicting

    weights = None if weights is None else Path(weights)
    return predicting.evaluate_file(Path(source), chip, shapes or {}, options, weights, edition)


def advice(project: Project, pair: str) -> list[str]:
    """What to do where MODEL@TARGET loses too much by quantization: four steps, the likeliest first."""
    from modelbuild.project import forms

    return forms.advice_of(project, pair)


def inspect(
    path: str | Path, weights: str | Path | None = None, *, nodes: bool = False, disassemble: bool = False
) -> dict[str, Any]:
    """What is inside a file: the object of `inspect --json`, with `nodes` that of `--nodes` and so on."""
    from modelbuild.artifacts import inspect as inspecting

    given = None if weights is None else Path(weights)
    return inspecting.inspect(Path(path), given, nodes=nodes, disassemble=disassemble)


def diff(
    a: str | Path,
    b: str | Path,
    weights_a: str | Path | None = None,
    weights_b: str | Path | None = None,
) -> dict[str, Any]:
    """Where two files of one kind differ: the object of `diff --json`. Weights are of Caffe and Keras."""
    from modelbuild.artifacts import differing

    beside = [None if given is None else Path(given) for given in (weights_a, weights_b)]
    return differing.diff(Path(a), Path(b), *beside)


def check_page(path: str | Path) -> None:
    """That `write_page` may write there. Raises where anything lies there that is no such page."""
    from modelbuild.report import inspected

    inspected.check_place(Path(path))


def write_page(found: Mapping[str, Any], path: str | Path, name: str) -> None:
    """An object of `inspect` as an HTML page that loads nothing; `name` is what the file is called."""
    from modelbuild.report import inspected

    inspected.write(Path(path), inspected.page(found, name))


def write_page_of_diff(found: Mapping[str, Any], path: str | Path) -> None:
    """An object of `diff` as such a page."""
    from modelbuild.report import inspected

    inspected.write(Path(path), inspected.page_of_diff(found))


def recipe(chip: str, edition: str | None = None) -> Recipe:
    """A chip's facts, with the operators of an edition of its toolchain, the newest unless told."""
    from modelbuild.chips.load import load_recipe

    return load_recipe(chip, Path.cwd(), edition)
