"""Source formats -> Graph: one module a format, chosen by the file's suffix.

A format's module, and what it stands on, is imported when a file of that format is: who only wants to know
what can be read does not wait for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from modelbuild.errors import ModelbuildError
from modelbuild.importers import exporting
from modelbuild.importers.sniff import located

if TYPE_CHECKING:
    from modelbuild.graph.edits import Edit
    from modelbuild.graph.guard import Difference
    from modelbuild.graph.model import Graph, Shape


@dataclass(frozen=True)
class Importer:
    """One source format. Its module has `load(path, input_shapes, edits, weights) -> Graph` and
    `discover(path)`, which lists further files that a model is made of."""

    format: str
    name: str
    weights: tuple[str, ...] = ()  # suffixes of a separate file of weights
    needs_weights: bool = False
    resizes: bool = False  # whether a network takes inputs of other sizes than those that its file has

    @property
    def module(self) -> ModuleType:
        """The module that reads the format."""
        return import_module(f"modelbuild.importers.{self.name}")


_KERAS = Importer("keras", "keras", (".h5", ".hdf5"))
IMPORTERS: Mapping[str, Importer] = {
    ".onnx": Importer("onnx", "onnx"),
    ".tflite": Importer("tflite", "tflite"),
    ".h5": _KERAS,
    ".hdf5": _KERAS,
    ".keras": _KERAS,
    ".prototxt": Importer("caffe", "caffe", (".caffemodel",), needs_weights=True, resizes=True),
}


def importer_for(path: Path, *, fetched: bool = True) -> Importer:
    """The importer of `path` by its suffix. Raises naming the formats that are read, or how to export.

    Of a file that is yet to be `fetched` only the name is judged."""
    found = IMPORTERS.get(path.suffix.lower())
    if found is None:
        raise exporting.refusal(path, tuple(IMPORTERS), fetched)
    return found


def load(
    path: Path,
    input_shapes: Mapping[str, Shape] | None = None,
    edits: Sequence[Edit] = (),
    weights: Path | None = None,
) -> Graph:
    """The graph of any supported model file, after the manifest's `edit:` list.

    `input_shapes` are those of the source's inputs, under their own names or those that edits give them.
    `weights` is the file that holds them, where the format keeps them apart. Raises naming the file."""
    importer = importer_for(path)
    try:
        check_weights(importer, weights)
        given = input_shapes or {}
        if given and edits:
            from modelbuild.importers.input_shapes import of_source  # loads onnx

            given = of_source(given, edits)
        graph: Graph = importer.module.load(path, given, edits, weights)
    except ModelbuildError as error:
        raise located(error, path) from error
    return graph


def check_weights(importer: Importer, weights: Path | None) -> None:
    """That a separate file of weights is given where the format has one, and only there."""
    suffixes = " or ".join(importer.weights)
    if weights is None:
        if importer.needs_weights:
            raise ModelbuildError(
                f"a {importer.format} model keeps its weights in a file of their own",
                advice=f"name it: `weights: MODEL{suffixes}` in models.yaml, or `--weights FILE`",
            )
    elif not importer.weights:
        raise ModelbuildError(
            "`weights`: this model keeps its weights in the source file",
            why="weights stand apart in Caffe and some Keras models only",
            advice="leave `weights` out; files of external data are found by themselves",
        )
    elif weights.suffix.lower() not in importer.weights:
        raise ModelbuildError(
            f"`weights`: the weights of a {importer.format} model end with {suffixes}",
            why=f"this is {weights.name}",
            advice="name the file of weights that was saved with the model",
        )


def check(path: Path, graph: Graph) -> Difference | None:
    """Runs `graph`, just loaded from `path`, against the file itself, as its own runtime runs it.

    None where they cannot be compared: no such runtime here, other precision, or edited on the way; and for
    a quantized file, whose codes are compared (`qdq_check`). Raises with exit code 1 where they differ.
    """
    from modelbuild.graph import guard
    from modelbuild.importers import qdq_check
    from modelbuild.importers.source import source_of

    if importer_for(path).format != "onnx":
        return None
    facts = source_of(graph)
    if facts.get("quantized"):
        qdq_check.check(path, graph)
    if not facts["comparable"]:
        return None
    return guard.check(path, graph, what="the import")


def discover(path: Path) -> list[Path]:
    """The further files that the model file `path` names."""
    try:
        found: list[Path] = importer_for(path).module.discover(path)
    except ModelbuildError as error:
        raise located(error, path) from error
    return found
