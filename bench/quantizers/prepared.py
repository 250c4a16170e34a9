"""A declared network -> what every tool is given: one float model and its samples as arrays, in a folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import version_converter

from bench.quantizers import declared
from modelbuild.samples.loader import load
from modelbuild.samples.preprocess import from_settings

OPSET = 17  # scales of one a channel need 13; the peers know 17
_SAME = 1e-3  # of the largest output; what the conversion of an opset may change


@dataclass(frozen=True)
class Prepared:
    """`model` is float, of fixed shapes; the folders hold 0000.npy, 0001.npy ... of the input's own shape."""

    name: str
    folder: Path
    model: Path
    input_name: str
    shape: tuple[int, ...]
    calibration: Path
    evaluation: Path
    labels: list[int] | None


def prepare(
    name: str, network: declared.Network, folders: Sequence[Path], work: Path, most: int | None
) -> Prepared:
    """Writes the folder. `most` is the largest number of evaluation samples."""
    folder = work / name
    calibration = declared.gather(network.calibration, folders)
    evaluation = declared.gather(network.evaluation, folders, most, set(calibration.files))
    arrays(calibration.files, network.input, folder / "calibration")
    arrays(evaluation.files, network.input, folder / "evaluation")
    sample = np.load(folder / "calibration/0000.npy")
    model = fixed(onnx.load(declared.locate(network.file, folders)), network.input)
    model = _converted(model, network.input.name, sample)
    set_output_shapes(model, network.input.name, sample)
    onnx.save(model, folder / "float.onnx")
    return Prepared(
        name=name,
        folder=folder,
        model=folder / "float.onnx",
        input_name=network.input.name,
        shape=network.input.shape,
        calibration=folder / "calibration",
        evaluation=folder / "evaluation",
        labels=evaluation.labels,
    )


def arrays(files: Sequence[Path], port: declared.Input, folder: Path) -> None:
    """Writes what the network gets of each file, in order."""
    folder.mkdir(parents=True)
    preprocess = from_settings(port.preprocess)
    for index, path in enumerate(files):
        np.save(folder / f"{index:04d}.npy", load(path, port.name, port.shape, np.float32, preprocess))


def fixed(model: onnx.ModelProto, port: declared.Input) -> onnx.ModelProto:
    """The model with the declared shape, inputs that are no weights, and shapes inferred anew."""
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in weights]
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    model.ir_version = max(model.ir_version, 4)  # before it every weight had to be an input
    for value in model.graph.input:
        if value.name == port.name:
            _set_shape(value, port.shape)
    del model.graph.value_info[:]
    for value in model.graph.output:
        value.type.tensor_type.ClearField("shape")
    return onnx.shape_inference.infer_shapes(model, data_prop=True)


def set_output_shapes(model: onnx.ModelProto, name: str, sample: np.ndarray) -> None:
    """Those that a run gives, where the inference of shapes cannot follow arithmetic on them."""
    for value, found in zip(model.graph.output, _outputs(model, name, sample), strict=True):
        _set_shape(value, found.shape)


def _set_shape(value: onnx.ValueInfoProto, shape: Sequence[int]) -> None:
    dims = value.type.tensor_type.shape.dim
    del dims[:]
    for size in shape:
        dims.add().dim_value = size


def _converted(model: onnx.ModelProto, name: str, sample: np.ndarray) -> onnx.ModelProto:
    """In `OPSET`, where the converter of onnx can do that and the outputs stay; else as it is."""
    if max(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")) >= OPSET:
        return model
    try:
        other = version_converter.convert_version(model, OPSET)
        pairs = zip(_outputs(model, name, sample), _outputs(other, name, sample), strict=True)
        same = all(np.abs(x - y).max() <= _SAME * np.abs(x).max() for x, y in pairs)
    except Exception:  # it raises whatever it comes across; the model as it is serves, too
        return model
    return other if same else model


def _outputs(model: onnx.ModelProto, name: str, sample: np.ndarray) -> list[np.ndarray]:
    options = ort.SessionOptions()
    options.log_severity_level = 3  # it warns of every weight that is not used
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return [np.asarray(found) for found in session.run(None, {name: sample})]
