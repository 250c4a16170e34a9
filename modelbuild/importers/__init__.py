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

if TYPE_CHECKING:
    from modelbuild.graph.edit import Edit
    from modelbuild.graph.guard import Difference
    from modelbuild.graph.model import Graph, Shape


@dataclass(frozen=True)
class Importer:
    """One source format. Its module has `load(path, input_shapes, edits) -> Graph` and `discover(path)`,
    which lists further files that a model is made of."""

    format: str
    name: str

    @property
    def module(self) -> ModuleType:
        """The module that reads the format."""
        return import_module(f"modelbuild.importers.{self.name}")


IMPORTERS: Mapping[str, Importer] = {".onnx": Importer("onnx", "onnx")}

_TORCH = "export it: `torch.onnx.export(model.eval(), example_input, 'model.onnx', opset_version=17)`"
_TENSORFLOW = "export it: `python -m tf2onnx.convert --saved-model FOLDER --opset 17 --output model.onnx`"
_EXPORT: Mapping[str, str] = {
    ".pt": _TORCH,
    ".pth": _TORCH,
    ".pb": _TENSORFLOW,
}


def importer_for(path: Path) -> Importer:
    """The importer of `path` by its suffix. Raises naming the formats that are read, or how to export."""
    suffix = path.suffix.lower()
    found = IMPORTERS.get(suffix)
    if found is not None:
        return found
    raise ModelbuildError(
        f"models in {suffix or 'files without a suffix'} cannot be imported",
        where=str(path),
        why=f"the formats read are {', '.join(IMPORTERS)}",
        advice=_EXPORT.get(suffix, "convert the model to ONNX"),
    )


def load(path: Path, input_shapes: Mapping[str, Shape] | None = None, edits: Sequence[Edit] = ()) -> Graph:
    """The graph of any supported model file, after the manifest's `edit:` list."""
    graph: Graph = importer_for(path).module.load(path, input_shapes, edits)
    return graph


def check(path: Path, graph: Graph) -> Difference | None:
    """Runs `graph`, just loaded from `path`, against the file itself, as its own runtime runs it.

    None where they cannot be compared: other precision, or edited on the way. Raises with exit code 1 where
    they differ.
    """
    from modelbuild.graph import guard
    from modelbuild.importers.source import source_of

    if importer_for(path).format != "onnx" or not source_of(graph)["comparable"]:
        return None
    return guard.check(path, graph, what="the import")


def discover(path: Path) -> list[Path]:
    """The further files that the model file `path` names."""
    found: list[Path] = importer_for(path).module.discover(path)
    return found
