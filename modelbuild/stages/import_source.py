"""Stage `import_source`: the source file, whatever its format, edited as asked, as ONNX with static shapes.

Edits come before anything is refused, so that a tail that nothing supports can be cut off."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelbuild.build.action import FileInput, Resources
from modelbuild.stages.fetch import with_suffix
from modelbuild.stages.request import ModelRequest, Source

VERSION = "6"
LIBRARIES = ("numpy", "onnx", "onnxruntime")
RESOURCES = Resources(memory=256 << 20, memory_per_input_byte=5.0)
EDIT_ROLES = "weights/edit/"  # of files that edits name; after `source`, from whose folder others are named
DISCOVER = "modelbuild.stages.import_source:discover"


def inputs(request: ModelRequest) -> dict[str, Source]:
    """The source, its weights where they are apart, and those of edits; external data is discovered."""
    weights = {} if request.weights is None else {"weights": FileInput(request.weights)}
    inserted = {
        f"{EDIT_ROLES}{index}": FileInput(path)
        for index, edit in enumerate(request.edit)
        if (path := edit.get("insert", {}).get("weights")) is not None
    }
    return {"source": request.source_file(), **weights, **inserted}


def parameters(request: ModelRequest) -> dict[str, Any]:
    """Declared shapes, edits in order, and the digest that the manifest demands."""
    return {
        "shapes": request.shapes,
        "edits": [_by_role(edit, f"{EDIT_ROLES}{index}") for index, edit in enumerate(request.edit)],
        "sha256": request.source_digest,
        **({} if request.url is None else {"suffix": request.suffix}),
    }


def _by_role(edit: Mapping[str, Any], role: str) -> Mapping[str, Any]:
    """The edit with the role of the file of weights that it names in place of the path: a file that moves is
    the same file."""
    insert = edit.get("insert", {})
    return {"insert": {**insert, "weights": role}} if "weights" in insert else edit


def _by_path(edit: Mapping[str, Any], inputs: Mapping[str, Path]) -> Mapping[str, Any]:
    """The inverse of `_by_role`."""
    insert = edit.get("insert", {})
    return {"insert": {**insert, "weights": str(inputs[insert["weights"]])}} if "weights" in insert else edit


def discover(inputs: Mapping[str, Path], parameters: Mapping[str, Any]) -> list[Path]:
    """Files that the source names: ONNX external data."""
    from modelbuild import importers

    return importers.discover(inputs["source"])


def run(inputs: Mapping[str, Path], parameters: Mapping[str, Any], out: Path) -> None:
    """Leaves `model.onnx` and `source.json`; a model that runs unlike its file fails the build."""
    from modelbuild import importers
    from modelbuild.graph import onnx_io
    from modelbuild.importers.source import source_of
    from modelbuild.stages.files import check_digest, write_json

    check_digest(inputs["source"], parameters["sha256"])
    shapes = {name: tuple(shape) for name, shape in parameters["shapes"].items()}
    suffix = parameters.get("suffix")
    with with_suffix(inputs["source"], suffix) as source:
        if suffix is not None:
            _refuse_further_files(source)
        edits = [_by_path(edit, inputs) for edit in parameters["edits"]]
        graph = importers.load(source, shapes, edits, inputs.get("weights"))
        importers.check(source, graph)
    onnx_io.write(graph, out / "model.onnx")
    write_json(out / "source.json", source_of(graph))


def _refuse_further_files(source: Path) -> None:
    from modelbuild import importers
    from modelbuild.errors import ModelbuildError

    names = [path.name for path in importers.discover(source)]
    if names:
        raise ModelbuildError(
            f"the fetched model keeps its weights in other files: {', '.join(names)}",
            where="source",
            why="an address brings one file",
            advice="save it as one file, `onnx.save(onnx.load(FILE), FILE, save_as_external_data=False)`, "
            "or fetch all of them into one folder and name the model's path",
        )
