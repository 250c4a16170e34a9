"""Stage `check_calibration`: what is probably wrong with the calibration samples. It never fails for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelbuild.build.action import Resources
from modelbuild.stages.request import ModelRequest, Source

if TYPE_CHECKING:
    from modelbuild.graph.model import Graph
    from modelbuild.quantize.first_layers import FirstLayer, Fit

VERSION = "5"
LIBRARIES = ("numpy", "onnx", "onnxruntime", "pillow")
TRIED = 16  # samples that the model is run on, spread evenly
_HELD = 64 << 20  # bytes of them


def inputs(request: ModelRequest) -> dict[str, Source]:
    """The model as it was imported, which has its BatchNormalizations still, and the calibration files."""
    assert request.calibration is not None
    return {"model": request.output("import_source", "model.onnx"), **request.calibration.roles()}


def parameters(request: ModelRequest) -> dict[str, Any]:
    """Preprocessing, on either side of the model's inputs, labels, and the samples' names for messages."""
    assert request.calibration is not None
    samples = request.calibration
    return {
        "preprocess": request.preprocess,
        "in_model": request.in_model,
        "names": [next(iter(files.values())) for files in samples.files],
        "labels": None if samples.labels is None else list(samples.labels),
    }


def resources(request: ModelRequest) -> Resources:
    """All tensors of one sample, the samples that are tried, and the weights."""
    return Resources(memory=(192 << 20) + request.activations, memory_per_input_byte=5.0, counted=("model",))


def run(inputs: Mapping[str, Path], parameters: Mapping[str, Any], out: Path) -> None:
    """Leaves `calibration.json`: the findings, and how many samples are blank. Where samples are of inputs
    that the model does not have, which `normalise` says, there is nothing to look at."""
    from modelbuild.graph import in_model, onnx_io
    from modelbuild.graph.kept_quantization import kept
    from modelbuild.quantize.calibration_checks import Examined, findings, is_blank
    from modelbuild.quantize.first_layers import first_layer
    from modelbuild.samples.health import SetLook
    from modelbuild.samples.loader import spread
    from modelbuild.samples.preprocess import from_settings
    from modelbuild.stages.files import named_inputs, read_samples, write_json

    graph = onnx_io.read(inputs["model"])
    if not named_inputs(inputs) <= set(graph.inputs):
        write_json(out / "calibration.json", {"findings": [], "blank": 0})
        return
    entries = kept(graph)
    declared = {name: from_settings(given) for name, given in parameters["in_model"].items()}
    graph = in_model.insert(graph, declared) if declared else graph
    count = len(parameters["names"])
    look = SetLook({name: graph.shapes[name] for name in graph.inputs})
    size = sum(4 * _size(graph.shapes[name]) for name in graph.inputs)
    chosen = set(spread(min(TRIED, max(_HELD // size, 4), count), count))
    tried, blank = [], []
    for number, sample in enumerate(read_samples(inputs, count, graph, parameters["preprocess"])):
        look.add(sample)
        if is_blank(sample):
            blank.append(number)
        if number in chosen:
            tried.append(sample)
    arrays = _fed_by_arrays(inputs, graph)
    layer = first_layer(graph)
    fits, swap = ({}, None) if layer is None else _fits(graph, layer, tried, parameters["preprocess"], arrays)
    predicted, classes = _predicted(graph, tried)
    examined = Examined(
        look,
        parameters["names"],
        parameters["labels"],
        {name: ends for name in arrays if (ends := _range(parameters["preprocess"].get(name))) is not None},
        {
            name: entries[name].range()
            for name in graph.inputs
            if name in entries and entries[name].axis is None and graph.dtypes[name].kind == "f"
        },
        "" if layer is None else layer.tensor,
        fits,
        swap,
        predicted,
        classes,
        blank,
    )
    told = [one.to_json() for one in findings(examined)]
    write_json(out / "calibration.json", {"findings": told, "blank": len(blank)})


def _size(shape: Sequence[int]) -> int:
    import math

    return math.prod(shape)


def _fed_by_arrays(inputs: Mapping[str, Path], graph: Graph) -> list[str]:
    """The inputs whose first sample is no picture."""
    from modelbuild.samples.files import TENSOR_SUFFIXES
    from modelbuild.stages.files import sample_file

    files = {name: sample_file(inputs, 0, name, len(graph.inputs)) for name in graph.inputs}
    return [name for name, path in files.items() if path.suffix.lower() in TENSOR_SUFFIXES]


def _range(declared: Mapping[str, Any] | None) -> tuple[float, float] | None:
    """The least and greatest value that preprocessing makes of 0..255, where it is declared at all."""
    from modelbuild.samples.preprocess import from_settings, resulting_range

    if not declared:
        return None
    ends = resulting_range(from_settings(declared))
    return min(low for low, _ in ends), max(high for _, high in ends)


def _fits(
    graph: Graph,
    layer: FirstLayer,
    tried: Sequence[dict[str, Any]],
    preprocess: Mapping[str, Any],
    arrays: Sequence[str],
) -> tuple[dict[str, Fit], Fit | None]:
    """How the samples suit the first layer as they are, normalised otherwise, and with red and blue
    exchanged. Others are tried of one picture alone, whose pixels are known."""
    from modelbuild.quantize.first_layers import NORMALISATIONS, fit, normalised, swapped
    from modelbuild.samples.health import pictures

    fits = {"": fit(graph, layer, iter(tried))}
    name = graph.inputs[0]
    if len(graph.inputs) != 1 or graph.dtypes[name].kind != "f" or pictures(tried[0][name]) is None:
        return fits, None
    swap = None
    if 3 in (graph.shapes[name][1], graph.shapes[name][-1]):
        swap = fit(graph, layer, ({name: swapped(sample[name])} for sample in tried))
    pixels = _pixels([sample[name] for sample in tried], None if name in arrays else preprocess.get(name))
    if pixels is not None:
        for other in NORMALISATIONS:
            fits[other] = fit(graph, layer, ({name: normalised(one, other)} for one in pixels))
    return fits, swap


def _pixels(tried: Sequence[Any], declared: Mapping[str, Any] | None) -> list[Any] | None:
    """What pixels 0..255 the tensors were made of: by the declaration or, of arrays, by their range."""
    import numpy as np

    from modelbuild.samples.health import channels_last
    from modelbuild.samples.preprocess import from_settings, normalisation

    low, high = min(float(one.min()) for one in tried), max(float(one.max()) for one in tried)
    if declared is None:
        if low < 0.0 or high > 255.0 or 1.0 < high < 16.0:
            return None
        return [one.astype(np.float64) * (255.0 if high <= 1.0 else 1.0) for one in tried]
    last = channels_last(tried[0].shape)
    channels = tried[0].shape[-1] if last else tried[0].shape[1]
    form = (1, 1, 1, -1) if last else (1, -1, 1, 1)
    parts = zip(*normalisation(from_settings(declared), channels), strict=True)
    scale, mean, std = (np.array(part).reshape(form) for part in parts)
    return [np.rint((one.astype(np.float64) * std + mean) / scale) for one in tried]


def _predicted(graph: Graph, tried: Sequence[dict[str, Any]]) -> tuple[list[int], int]:
    """Of a classifier the class that it sees in each sample, and how many there are; else nothing."""
    import numpy as np

    from modelbuild.graph.session import FloatSession
    from modelbuild.quantize.calibration_checks import CLASSES

    name = graph.outputs[0]
    shape = graph.shapes[name]
    classes = _size(shape)
    if len(graph.outputs) != 1 or classes < CLASSES or classes != max(shape):
        return [], classes
    session = FloatSession(graph)
    return [int(np.argmax(session.run(sample)[name])) for sample in tried], classes


def read_findings(found: Path) -> Iterator[dict[str, Any]]:
    """The findings in `calibration.json` or `result.json`."""
    from modelbuild.stages.files import read_json

    yield from read_json(found)["findings"]
