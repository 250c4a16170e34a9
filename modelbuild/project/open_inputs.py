"""Model files used without a manifest: what is said of inputs whose sizes the file leaves open."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from modelbuild.errors import ModelbuildError
from modelbuild.graph.model import Shape
from modelbuild.importers import importer_for
from modelbuild.importers.describe import describe


def explained(error: ModelbuildError, path: Path, shapes: Mapping[str, Shape]) -> ModelbuildError:
    """The error of an import: where sizes are open, all of them at once and the options that say them; an
    importer's own error speaks of a manifest."""
    if importer_for(path).format != "onnx" or "has no fixed size" not in error.problems[0].what:
        return error
    inputs, _ = describe(path)
    unknown = [port for port in inputs if port.name not in shapes and None in port.shape]
    words = " ".join(
        f"--input {port.name}={','.join(_size(axis, size) for axis, size in enumerate(port.shape))}"
        for port in unknown
    )
    listed = ", ".join(
        f"`{port.name}`: [{', '.join('?' if size is None else str(size) for size in port.shape)}]"
        for port in unknown
    )
    return ModelbuildError(
        f"the model leaves sizes of its inputs open: {listed}",
        where=str(path),
        why="an NPU program is made for one shape",
        advice=f"say them: {words}",
    )


def _size(axis: int, size: int | None) -> str:
    """A batch that is left open is 1; other sizes nobody but the user knows."""
    return str(size) if size is not None else "<?>" if axis else "1"
