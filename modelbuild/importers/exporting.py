"""Model files that are not read: what to type to get from them a file that is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from modelbuild.errors import ModelbuildError


def knows(path: Path) -> bool:
    """Whether the suffix is that of a format that can be exported to one that is read."""
    return path.suffix.lower() in _EXPORT


def refusal(path: Path, read: Sequence[str], fetched: bool = True) -> ModelbuildError:
    """The error for a file whose suffix is none of `read`, with the lines that export it; that it is not
    there is said only of one that should be here already."""
    suffix = path.suffix.lower()
    export = _EXPORT.get(suffix)
    if export is None and (path / "saved_model.pb").is_file():
        return ModelbuildError(
            "TensorFlow SavedModel folders cannot be imported",
            where=str(path),
            why=f"the formats read are {', '.join(read)}",
            advice=_saved_model(path),
        )
    if fetched and not suffix and not path.exists():
        return ModelbuildError(f"there is no file {path.name}", where=str(path), advice="name a model file")
    return ModelbuildError(
        f"models in {suffix or 'files without a suffix'} cannot be imported",
        where=str(path),
        why=f"the formats read are {', '.join(read)}",
        advice=export(path) if export else "convert the model to ONNX",
    )


def _torch(path: Path) -> str:
    from modelbuild.importers import torch_files

    listed = (
        "import torch",
        *torch_files.lines(path),
        "model.eval()",
        f"torch.onnx.export(model, torch.zeros(1, 3, 224, 224), {_onnx(path)!r}, opset_version=17)",
    )
    return "export it with PyTorch, with the shape that the model takes:" + "".join(
        f"\n         {line}" for line in listed
    )


def _frozen(path: Path) -> str:
    if path.name == "saved_model.pb":
        return _saved_model(path.parent)
    return (
        "export it with TensorFlow and tf2onnx installed: `python -m tf2onnx.convert --graphdef "
        f"{path.name} --inputs INPUT:0 --outputs OUTPUT:0 --opset 17 --output {_onnx(path)}`"
    )


def _saved_model(path: Path) -> str:
    return (
        "export it with TensorFlow and tf2onnx installed: `python -m tf2onnx.convert --saved-model "
        f"{path.name or '.'} --opset 17 --output {path.name or 'model'}.onnx`"
    )


def _checkpoint(path: Path) -> str:
    return (
        "export it with TensorFlow and tf2onnx installed: `python -m tf2onnx.convert --checkpoint "
        f"{path.with_suffix('.meta').name} --inputs INPUT:0 --outputs OUTPUT:0 --opset 17 "
        f"--output {_onnx(path)}`"
    )


def _caffemodel(path: Path) -> str:
    beside = sorted(other.name for other in path.parent.glob("*.prototxt"))
    usual = path.with_suffix(".prototxt").name
    network = beside[0] if len(beside) == 1 else usual
    return f"name the network, and this file as its weights: `source: {network}` and `weights: {path.name}`"


def _onnx(path: Path) -> str:
    return path.with_suffix(".onnx").name


_EXPORT: Mapping[str, Callable[[Path], str]] = {
    ".pt": _torch,
    ".pth": _torch,
    ".pt2": _torch,
    ".ckpt": _torch,
    ".pb": _frozen,
    ".meta": _checkpoint,
    ".index": _checkpoint,
    ".caffemodel": _caffemodel,
}
