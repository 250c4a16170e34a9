"""A declared network -> its float model with fixed shapes, its samples as arrays, and what it should give."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort

from bench.quantizers import declared
from bench.quantizers.prepared import fixed, set_output_shapes
from modelbuild import importers
from modelbuild.graph import onnx_io
from modelbuild.graph.model import Graph
from modelbuild.graph.normalise import normalise
from modelbuild.samples.loader import load
from modelbuild.samples.preprocess import Preprocess, from_settings, host_part

DECLARED = Path(__file__).with_name("networks.yaml")
Arrays = list[np.ndarray]


@dataclass(frozen=True)
class Network:
    """`model` is the file as it is published, but for the shape of its input; `graph` its normal form.
    `expected` are the float outputs of each evaluation sample; `labels` its classes, where they are known."""

    name: str
    model: Path
    port: declared.Input
    graph: Graph
    calibration: Arrays
    evaluation: Arrays
    expected: list[Arrays]
    labels: list[int] | None


@dataclass(frozen=True)
class Raw:
    """The same samples as bytes of pictures, and what the model is to do with them, by input."""

    inside: dict[str, Preprocess]
    calibration: Arrays
    evaluation: Arrays


def raw(
    declaration: declared.Network, folders: Sequence[Path], most: int | None = None, layout: str = "NCHW"
) -> Raw:
    """For a model that preprocesses by itself pictures of its own size. Errors: ModelbuildError."""
    port = declaration.input
    p = from_settings({**port.preprocess, "in_model": True, "input_layout": layout})
    batch, channels, *size = port.shape
    shape = (batch, *size, channels) if layout == "NHWC" else port.shape
    calibration, evaluation = (
        [load(path, port.name, shape, np.uint8, host_part(p)) for path in samples.files]
        for samples in _samples(declaration, folders, most)
    )
    return Raw({port.name: p}, calibration, evaluation)


def _samples(
    declaration: declared.Network, folders: Sequence[Path], most: int | None
) -> tuple[declared.Samples, declared.Samples]:
    """Of the calibration, and of the evaluation those that it does not see, unless it sees all."""
    calibration = declared.gather(declaration.calibration, folders)
    seen = set(calibration.files)
    are_all_seen = seen >= set(declared.gather(declaration.evaluation, folders).files)
    return calibration, declared.gather(declaration.evaluation, folders, most, () if are_all_seen else seen)


def prepare(
    name: str, declaration: declared.Network, folders: Sequence[Path], work: Path, most: int | None = None
) -> Network:
    """Writes the model into the folder `work`; `most` evaluation samples at most, spread evenly. Errors:
    ModelbuildError."""
    port, path = declaration.input, work / f"{name}.onnx"
    calibration, evaluation = _samples(declaration, folders, most)
    model = fixed(onnx.load(declared.locate(declaration.file, folders)), port)
    set_output_shapes(model, port.name, np.zeros(port.shape, np.float32))
    onnx.save(model, path)
    graph, _ = normalise(importers.load(path))
    found = _arrays(evaluation.files, port)
    return Network(
        name,
        path,
        port,
        graph,
        _arrays(calibration.files, port),
        found,
        float_outputs(model, port, found),
        evaluation.labels,
    )


def float_outputs(model: onnx.ModelProto, port: declared.Input, samples: Arrays) -> list[Arrays]:
    """What onnxruntime makes of the samples."""
    session = ort.InferenceSession(model.SerializeToString(), _options(), providers=["CPUExecutionProvider"])
    return [[np.asarray(one) for one in session.run(None, {port.name: sample})] for sample in samples]


def forms(network: Network, folder: Path) -> dict[str, Path]:
    """The float model as users of a compiler would try to bring it in, one after the other: as published,
    folded by onnxruntime, and our normal form. What cannot be made is left out."""
    folder.mkdir(parents=True, exist_ok=True)
    found = {"as published": network.model}
    options, folded = _options(), folder / "folded.onnx"
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(folded)
    try:
        ort.InferenceSession(network.model, options, providers=["CPUExecutionProvider"])
        found["folded by onnxruntime"] = folded
    except Exception:  # it raises whatever it comes across; the next form serves, too
        folded.unlink(missing_ok=True)
    found["our normal form"] = folder / "normal.onnx"
    onnx_io.write(network.graph, found["our normal form"])
    return found


def _arrays(files: Sequence[Path], port: declared.Input) -> Arrays:
    preprocess = from_settings(port.preprocess)
    return [load(path, port.name, port.shape, np.float32, preprocess) for path in files]


def _options() -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.log_severity_level = 3  # it warns of every weight that is not used
    options.intra_op_num_threads = 1
    return options
