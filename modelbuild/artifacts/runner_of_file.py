"""A model file of any kind as something that runs, by what the file is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from modelbuild import importers, input_file
from modelbuild.artifacts.given_preprocessing import by_input
from modelbuild.artifacts.kinds import SOURCES, Kind, check_name, damage, identify
from modelbuild.artifacts.kmodel_runner import open_kmodel
from modelbuild.artifacts.packing import kmodel
from modelbuild.artifacts.programs import choose, programs, sealed_format, sealed_programs
from modelbuild.artifacts.runner import FixedRunner, FloatRunner, HardwareRunner, Runner
from modelbuild.errors import ModelbuildError, in_file
from modelbuild.formats.sealed_keys import Secrets
from modelbuild.graph import in_model
from modelbuild.importers import exporting
from modelbuild.importers.source import forget_layouts
from modelbuild.quantize import fixed_onnx
from modelbuild.samples.preprocess import Preprocess, host_part


def _open_source(
    path: Path, model: str | None, preprocess: Mapping[str, Preprocess], weights: Path | None
) -> Runner:
    """A float model in any format that can be imported."""
    if model is not None:
        raise _one_model_only(path)
    graph = importers.load(path, None, (), weights)
    chosen = by_input(preprocess, graph.inputs, path)
    inside = {name: given for name, given in chosen.items() if given.in_model is not None}
    if inside:
        graph = in_model.insert(graph, inside)
        forget_layouts(graph, in_model.laid_out(graph, inside))
    return FloatRunner(graph, {name: host_part(given) for name, given in chosen.items()}, inside)


def _open_fixed(path: Path, model: str | None, preprocess: Mapping[str, Preprocess]) -> Runner:
    if model is not None:
        raise _one_model_only(path)
    return FixedRunner(fixed_onnx.read(path))


def _one_model_only(path: Path) -> ModelbuildError:
    return ModelbuildError(
        "--model picks one model of a package",
        where=str(path),
        why="this file is one model",
        advice="leave --model out",
    )


def _open_nef(path: Path, model: str | None, preprocess: Mapping[str, Preprocess]) -> Runner:
    return HardwareRunner(choose(programs(path, "nef"), model, str(path)))


def _open_mpk(path: Path, model: str | None, preprocess: Mapping[str, Preprocess]) -> Runner:
    return HardwareRunner(choose(programs(path, "mpk"), model, str(path)))


def _open_kmodel(path: Path, model: str | None, preprocess: Mapping[str, Preprocess]) -> Runner:
    if model is not None:
        raise _one_model_only(path)
    return open_kmodel(path, input_file.read(path), path.name.removesuffix(kmodel.SUFFIX), preprocess)


def _open_sealed(path: Path, model: str | None, secrets: Secrets | None) -> Runner:
    program = choose(sealed_programs(path, secrets), model, str(path))
    if sealed_format(path) == Kind.KMODEL:
        return open_kmodel(path, program.command, program.name)
    return HardwareRunner(program)


OPENERS = {
    Kind.FIXED_ONNX: _open_fixed,
    Kind.NEF: _open_nef,
    Kind.MPK: _open_mpk,
    Kind.KMODEL: _open_kmodel,
}


def open_runner(
    path: Path,
    model: str | None = None,
    preprocess: Mapping[str, Preprocess] | None = None,
    weights: Path | None = None,
    secrets: Secrets | None = None,
) -> Runner:
    """The model in `path`, by what the file is. `model` picks one of a package by id or name; `preprocess` is
    for float models and kmodels without their .json, by input or under "" for all; others carry their own.
    `weights` are those of a float model whose format keeps them apart, `secrets` those of an encrypted
    package. Raises ModelbuildError for files that cannot be run."""
    kind = identify(path)
    if secrets is not None and kind is not Kind.SEALED:
        raise ModelbuildError("this file is not encrypted", where=str(path), advice="leave the keys out")
    if kind in SOURCES:
        check_name(path, kind)
        return _open_source(path, model, preprocess or {}, weights)
    if weights is not None:
        raise ModelbuildError(
            "this file has its weights inside", where=str(path), advice="leave --weights out"
        )
    if preprocess and kind is not Kind.KMODEL:
        raise ModelbuildError(
            "this file carries its own preprocessing", where=str(path), advice="leave the preprocessing out"
        )
    if kind is Kind.SEALED:
        return _open_sealed(path, model, secrets)
    if kind not in OPENERS:
        if exporting.knows(path):
            importers.importer_for(path)  # raises with the lines that export it
        known = kind is not Kind.UNKNOWN
        raise ModelbuildError(
            f"a file of the kind {kind} cannot be run"
            if known
            else f"{path.name} {damage(path) or 'is no kind of file that modelbuild knows'}",
            where=str(path),
            why=f"what runs is {', '.join((*SOURCES, *OPENERS))}",
            advice="`modelbuild inspect` shows what is inside"
            if known
            else "copy it again, or name another file",
        )
    try:
        return OPENERS[kind](path, model, preprocess or {})
    except ModelbuildError as error:
        raise in_file(error, path) from None
