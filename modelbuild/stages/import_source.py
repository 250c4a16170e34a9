"""Stage `import_source`: the source file, whatever its format, edited as asked, as ONNX with static shapes.

Edits come before anything is refused, so that a tail that nothing supports can be cut off."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelbuild.build.action import FileInput, Resources
from modelbuild.stages.fetch import with_suffix
from modelbuild.stages.request import ModelRequest, Source

VERSION = "1"
LIBRARIES = ("numpy", "onnx", "onnxruntime")
RESOURCES = Resources(memory=256 << 20, memory_per_input_byte=5.0)
DISCOVER = "modelbuild.stages.import_source:discover"


def inputs(request: ModelRequest) -> dict[str, Source]:
    """The source, and its weights where they are apart; external data is discovered."""
    weights = {} if request.weights is None else {"weights": FileInput(request.weights)}
    return {"source": request.source_file(), **weights}


def parameters(request: ModelRequest) -> dict[str, Any]:
    """Declared shapes, edits in order, and the digest that the manifest demands."""
    return {
        "shapes": request.shapes,
        "edits": list(request.edit),
        "sha256": request.source_digest,
        **({} if request.url is None else {"suffix": request.suffix}),
    }


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
        graph = importers.load(source, shapes, parameters["edits"], inputs.get("weights"))
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
