"""Stage `verify_hardware`: run the packaged bytes in the simulator beside the fixed-point model."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelbuild.build.action import Resources
from modelbuild.stages.request import PackagedModel, PackageRequest, Samples, Source

if TYPE_CHECKING:
    from modelbuild.arithmetic.fixed_model import FixedModel, QuantizedTensor

VERSION = "2"
LIBRARIES = ("numpy", "onnx", "pillow")
SECTIONS = ("command", "weights", "host")
COUNTS = {"none": 0, "first": 1}


def samples_of(model: PackagedModel) -> Samples | None:
    """The evaluation samples that the setting `verify.hardware` (none, first, all) takes."""
    evaluation = model.request.evaluation
    if evaluation is None:
        return None
    wanted = model.request.settings["verify"]["hardware"]
    count = COUNTS.get(wanted, len(evaluation.files))
    return Samples(evaluation.name, evaluation.files[:count])


def inputs(request: PackageRequest, model: PackagedModel) -> dict[str, Source]:
    """The program as read back from the package, the fixed-point model, and samples."""
    samples = samples_of(model)
    name = model.request.model
    return {
        **{part: request.output("package", f"programs/{name}.{part}.bin") for part in SECTIONS},
        "fixed": model.request.fixed(),
        **(samples.roles() if samples else {}),
    }


def parameters(request: PackageRequest, model: PackagedModel) -> dict[str, Any]:
    """Preprocessing and the number of samples; `random`, generated ones, where there is no sample set."""
    samples = samples_of(model)
    wanted = model.request.settings["verify"]["hardware"]
    return {
        "preprocess": model.request.preprocess,
        "samples": len(samples.files) if samples else 0,
        "random": samples is None and wanted != "none",
    }


def resources(request: PackageRequest, model: PackagedModel) -> Resources:
    """All integer tensors of one sample, twice, and the program."""
    memory = (96 << 20) + round(0.45 * model.request.activations)
    return Resources(memory=memory, memory_per_input_byte=4.0, counted=(*SECTIONS, "fixed"))


def run(inputs: Mapping[str, Path], parameters: Mapping[str, Any], out: Path) -> None:
    """Leaves `hardware.json`. With no samples asked for, `equal` is null: not measured, never passed."""
    import numpy as np

    from modelbuild.arithmetic.multiplier_shift import FixedSession
    from modelbuild.npu.simulator import simulate
    from modelbuild.quantize import fixed_onnx
    from modelbuild.stages.files import write_json

    fixed = fixed_onnx.read(inputs["fixed"])
    session = FixedSession(fixed)
    command, weights, host = (inputs[part].read_bytes() for part in SECTIONS)
    differing: dict[str, int] = {}
    layers: dict[str, int] = {}
    cycles = 0
    count = 0
    for integers in _integers(inputs, parameters, fixed):
        count += 1
        expected = session.run(integers, "all")
        found = simulate(command, weights, host, integers, keep_layers=True)
        cycles = found.cycles
        for counted, values in ((differing, found.outputs), (layers, found.layers)):
            for name, value in values.items():
                wrong = int(np.count_nonzero(value != expected[name]))
                counted[name] = counted.get(name, 0) + wrong
    measured = count > 0
    write_json(
        out / "hardware.json",
        {
            "samples": count,
            "random": parameters["random"],
            "equal": not any(differing.values()) and not any(layers.values()) if measured else None,
            "outputs": [{"name": n, "equal": not c, "differing": c} for n, c in differing.items()],
            "layers": [{"name": n, "equal": not c, "differing": c} for n, c in layers.items()],
            "cycles": cycles if measured else None,
        },
    )


def _integers(
    inputs: Mapping[str, Path], parameters: Mapping[str, Any], fixed: FixedModel
) -> Iterator[dict[str, Any]]:
    """The model's inputs as integers, sample by sample."""
    from modelbuild.arithmetic.number import quantize_array
    from modelbuild.stages.files import fixed_samples

    if parameters["random"]:
        yield from _generated([fixed.tensors[name] for name in fixed.inputs])
    for sample in fixed_samples(inputs, parameters["samples"], fixed, parameters["preprocess"]):
        yield {name: quantize_array(value, fixed.tensors[name]) for name, value in sample.items()}


def _generated(tensors: Sequence[QuantizedTensor]) -> Iterator[dict[str, Any]]:
    """Inputs for where there are no samples, the same on any machine: integers of the whole range; its two
    ends, mixed; and one end in the first half, the other in the second, as large accumulators need."""
    import numpy as np

    bits = np.random.PCG64(0)  # whose stream numpy promises not to change, unlike those of its distributions

    def words(t: QuantizedTensor) -> Any:
        return bits.random_raw(math.prod(t.shape)).reshape(t.shape) >> np.uint64(32)

    def whole(t: QuantizedTensor) -> Any:
        return (words(t) % np.uint64(t.high - t.low + 1)).astype(np.int64) + t.low

    def ends(t: QuantizedTensor) -> Any:
        return np.where(words(t) % np.uint64(2) == 0, t.low, t.high)

    def halves(t: QuantizedTensor) -> Any:
        count = math.prod(t.shape)
        return np.where(np.arange(count).reshape(t.shape) * 2 < count, t.low, t.high)

    for made in (whole, ends, halves):
        yield {t.name: made(t).astype(t.dtype) for t in tensors}
