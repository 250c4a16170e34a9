"""Model files used without a manifest: what is said of wrong names, and of sizes that a file leaves open."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from modelbuild.artifacts.kinds import SOURCES, Kind, check_name, identify
from modelbuild.errors import ModelbuildError
from modelbuild.graph.model import Shape
from modelbuild.importers.input_shapes import OpenSizes


def check_suffix(path: Path) -> None:
    """That a file of a format that is read has a name that says so, and is no result of ours. Raises naming
    one that does."""
    kind = identify(path) if path.is_file() else None
    if kind is Kind.FIXED_ONNX:
        raise ModelbuildError(
            f"{path.name} is a fixed-point model of modelbuild's own, quantized for its chip already",
            where=str(path),
            why="its operators are integer ones, which no chip's tables of operators have",
            advice="name the float model that it was made from; a build of `source: "
            f"{path.name}` compiles it, and its report has the cycles",
        )
    if kind in SOURCES:
        check_name(path, kind)


def explained(error: ModelbuildError, path: Path, shapes: Mapping[str, Shape]) -> ModelbuildError:
    """The error of an import: where sizes are open, all of them at once and the options that say them; an
    importer's own error speaks of a manifest."""
    if not isinstance(error, OpenSizes):
        return error
    from modelbuild.importers.describe import describe  # loads onnx

    inputs, _ = describe(path)
    unknown = [port for port in inputs if port.name not in shapes and None in port.shape]
    if not unknown:
        return error
    words = " ".join(
        f"--input {port.name}={','.join(_size(axis, size) for axis, size in enumerate(port.shape))}"
        for port in unknown
    )
    listed = ", ".join(f"`{port.name}`: {port.shown}" for port in unknown)
    return ModelbuildError(
        f"the model leaves sizes of its inputs open: {listed}",
        where=str(path),
        why="an NPU program is made for one shape",
        advice=f"say them: {words}",
    )


def _size(axis: int, size: int | None) -> str:
    """A batch that is left open is 1; other sizes nobody but the user knows."""
    return str(size) if size is not None else "<?>" if axis else "1"
