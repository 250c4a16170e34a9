"""A model file with what is shipped beside it: the part that runs after the chip."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from modelbuild.artifacts.kinds import Kind, identify
from modelbuild.artifacts.kmodel_runner import KmodelRunner
from modelbuild.artifacts.runner import HardwareRunner, Runner
from modelbuild.artifacts.runner_of_file import open_runner
from modelbuild.artifacts.whole_runner import WholeRunner
from modelbuild.errors import ModelbuildError
from modelbuild.formats.sealed_keys import Secrets
from modelbuild.graph import onnx_io
from modelbuild.graph.after_chip import OUTPUTS, AfterChip
from modelbuild.graph.edits.tail import POST
from modelbuild.graph.model import Graph
from modelbuild.samples.preprocess import Preprocess

# the kinds that a part after the chip is shipped with
WITH_PARTS = (Kind.FIXED_ONNX, Kind.NEF, Kind.MPK, Kind.KMODEL, Kind.SEALED)
_FIXED = ".fixed"
_APART = "build the package again, or run the chip's part alone: --no-tail"


def open_shipped(
    path: Path,
    model: str | None = None,
    preprocess: Mapping[str, Preprocess] | None = None,
    weights: Path | None = None,
    *,
    tail: bool = True,
    secrets: Secrets | None = None,
) -> Runner:
    """As `open_runner`; with `tail`, what runs after the chip is run, too, where the package's folder has it:
    MODEL_post.onnx, as the build wrote it. Raises for one that belongs to another model."""
    runner = open_runner(path, model, preprocess, weights, secrets)
    if not tail or identify(path) not in WITH_PARTS:
        return runner
    name = (
        runner.name if isinstance(runner, HardwareRunner | KmodelRunner) else path.stem.removesuffix(_FIXED)
    )
    post = path.with_name(f"{name}{POST}.onnx")
    if not post.is_file():
        return runner
    part = _read(post)
    if OUTPUTS not in part.metadata:
        return runner  # a file of the user's own that is called so
    after = AfterChip(part)
    _check_fits(runner, after, post)
    return WholeRunner(runner, after)


def _read(post: Path) -> Graph:
    try:
        return onnx_io.read(post)
    except ModelbuildError as error:
        problems = (problem._replace(advice=problem.advice or _APART) for problem in error.problems)
        raise ModelbuildError.of(problems, error.exit_code) from error


def _check_fits(runner: Runner, after: AfterChip, post: Path) -> None:
    """Every tensor that the chip gives is read or given on, in its shape; all others come from there."""
    given = {port.name: port.shape for port in runner.outputs}
    read = {name: after.input_shape(name) for name in after.inputs}
    fits = (
        set(given) <= {*read, *after.outputs}
        and set(after.outputs) <= {*given, *after.own}
        and all(read.get(name, shape) == shape for name, shape in given.items())
    )
    if not fits:
        raise ModelbuildError(
            f"{post.name} is not the part after the chip of this model",
            where=str(post),
            why=f"it reads {', '.join(read)}; the model gives {', '.join(given)}",
            advice=_APART,
        )
