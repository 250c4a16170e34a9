"""Stage `verify_hardware`: run the packaged bytes in the simulator beside the fixed-point model."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelbuild.build.action import Resources
from modelbuild.stages import accuracy, sealing
from modelbuild.stages.request import PackagedModel, PackageRequest, Samples, Source

if TYPE_CHECKING:
    from modelbuild.arithmetic.fixed_model import FixedModel, QuantizedTensor
    from modelbuild.graph.after_chip import AfterChip
    from modelbuild.quantize.accuracy import Measure
    from modelbuild.stages.backends.forms import Seen
    from modelbuild.stages.hardware_match import Match
    from modelbuild.stages.hardware_runs import Run, Sample

VERSION = "6"
# What runs after the chip runs on both forms alike: whether they are equal is not onnxruntime's to decide.
LIBRARIES = ("numpy", "onnx", "pillow")
SECTIONS = ("command", "weights", "host")
SEALED = "sealed"  # the role of the three in one, encrypted
COUNTS = {"none": 0, "first": 1}


def samples_of(model: PackagedModel) -> Samples | None:
    """The evaluation samples that the setting `verify.hardware` (none, first, all) takes. The first run of a
    batched program takes several."""
    evaluation = model.request.evaluation
    if evaluation is None:
        return None
    wanted = model.request.settings["verify"]["hardware"]
    count = COUNTS.get(wanted, len(evaluation.files)) * (_batch(model) or 1)
    return Samples(evaluation.name, evaluation.files[:count])


def _batch(model: PackagedModel) -> int | None:
    """The batch that is asked for."""
    found: int | None = (model.request.settings.get("compile") or {}).get("batch")
    return found


def inputs(request: PackageRequest, model: PackagedModel) -> dict[str, Source]:
    """The program as read back from the package, the compiler's plan, the fixed-point model, and samples."""
    samples = samples_of(model)
    name = model.request.model
    return {
        **_program(request, name),
        "plan": model.request.output("compile", "compile.json"),
        "fixed": model.request.fixed(),
        **model.request.after_chip(),
        **(accuracy.inputs(model.request) if _whole(model) is not None else {}),
        **(samples.roles() if samples else {}),
    }


def _program(request: PackageRequest, name: str) -> dict[str, Source]:
    if request.seals_programs:
        return {SEALED: request.output("package", f"programs/{name}.enc")}
    return {part: request.output("package", f"programs/{name}.{part}.bin") for part in SECTIONS}


def _whole(model: PackagedModel) -> Samples | None:
    """The evaluation samples where the simulator runs all of them: only then accuracy is measured."""
    is_all = model.request.settings["verify"]["hardware"] == "all"
    return model.request.evaluation if is_all else None


def parameters(request: PackageRequest, model: PackagedModel) -> dict[str, Any]:
    """Preprocessing and the number of samples; `random`, generated ones, where there is no sample set."""
    samples, whole = samples_of(model), _whole(model)
    wanted = model.request.settings["verify"]["hardware"]
    measured: dict[str, Any] = {}
    if whole is not None:
        labels = accuracy.classes(whole)
        measured = {
            **({} if labels is None else {"labels": labels}),
            **accuracy.parameters(model.request, whole),
        }
    return {
        "preprocess": model.request.preprocess,
        "samples": len(samples.files) if samples else 0,
        "random": samples is None and wanted != "none",
        **({"runs": 1} if wanted == "first" and _batch(model) is not None else {}),
        **(sealing.parameters(request) if request.seals_programs else {}),
        **measured,
    }


def unkeyed(request: PackageRequest, model: PackagedModel) -> dict[str, Any]:
    """How long a call of a function of the user's may take, and where keys are."""
    keys = sealing.unkeyed(request) if request.seals_programs else {}
    return {**accuracy.unkeyed(model.request), **keys}


def secrets(request: PackageRequest, model: PackagedModel) -> tuple[str, ...]:
    """The variables with the keys that the programs are encrypted with."""
    return sealing.variables(request) if request.seals_programs else ()


def resources(request: PackageRequest, model: PackagedModel) -> Resources:
    """All integer tensors of the samples of a run, twice, and the program."""
    memory = (96 << 20) + round(0.45 * model.request.activations) * (_batch(model) or 1)
    return Resources(memory=memory, memory_per_input_byte=4.0, counted=(*SECTIONS, SEALED, "fixed"))


def run(inputs: Mapping[str, Path], parameters: Mapping[str, Any], out: Path) -> None:
    """Leaves `hardware.json`. With no samples asked for, `equal` is null: not measured, never passed. Where a
    part runs after the chip, its outputs are compared too. Integers have to be equal in every bit, and
    floats, unless the chip's runtime may have other last bits of them. Cycles that are not those that the
    compiler predicted are a ModelbuildError: a bug."""
    from modelbuild.quantize import fixed_onnx
    from modelbuild.quantize.accuracy import FUNCTIONS, SHARES, Forms
    from modelbuild.stages import backends
    from modelbuild.stages.files import read_after_chip, read_json, write_json
    from modelbuild.stages.hardware_match import Match, at_sample
    from modelbuild.stages.hardware_runs import Regrouped, runs

    fixed = fixed_onnx.read(inputs["fixed"])
    after = read_after_chip(inputs.get("post"))
    backend = backends.of_arithmetic(fixed.arithmetic).load()
    machine = backend.Machine(fixed, _sections(inputs, parameters), read_json(inputs["plan"]))
    own = (*fixed.tensors[fixed.inputs[0]].shape, 1)[0]
    match, regrouped = Match(), Regrouped(own)
    count, cycles, unseen = 0, None, list[str]()
    with _measures(inputs, parameters, fixed, after) as measures:
        forms = Forms(("hardware",), measures)
        samples = _samples(inputs, parameters, fixed, after)
        for one in runs(samples, own, machine.wide, parameters.get("runs")):
            seen = machine.run(one.inputs())
            cycles = seen.cycles
            unseen = [name for name in _layers(fixed) if name not in seen.layers]
            for sample, whole in regrouped.add(one, _held(match, one, seen)):
                final = _real(whole, fixed.outputs, fixed)
                if after is not None:
                    final = after.run(final, sample.real)
                    right = after.run(_real(sample.expected, fixed.outputs, fixed), sample.real)
                    own_outputs = {name: final[name] for name in after.own}
                    match.inexact.update(after.own if seen.inexact & set(fixed.outputs) else ())
                    match.add("outputs", own_outputs, right, at_sample(count))
                forms.add("hardware", final, sample.real)
                count += 1
        values = {section: forms.values(section).get("hardware") for section in (SHARES, FUNCTIONS)}
    write_json(
        out / "hardware.json",
        {
            "samples": count,
            "random": parameters["random"],
            "equal": match.equal if match.ran else None,
            **match.to_json(),
            "unseen": unseen,
            "cycles": cycles,
            "cycles_predicted": machine.predicted,
            **{section: found for section, found in values.items() if found},
        },
    )


def _sections(inputs: Mapping[str, Path], parameters: Mapping[str, Any]) -> tuple[bytes, ...]:
    if SEALED not in inputs:
        return tuple(inputs[part].read_bytes() for part in SECTIONS)
    from modelbuild.formats import sealed

    data = inputs[SEALED].read_bytes()
    return sealing.unbundled(sealed.open_sealed(data, sealing.secrets(parameters)))


@contextmanager
def _measures(
    inputs: Mapping[str, Path], parameters: Mapping[str, Any], fixed: FixedModel, after: AfterChip | None
) -> Iterator[Callable[[], Sequence[Measure]]]:
    """What makes the measures of accuracy that were asked for: none, unless all samples are run."""
    from modelbuild.quantize.accuracy import of_classes
    from modelbuild.quantize.measure import WHOLE

    first = fixed.outputs[0] if after is None else after.outputs[0]
    labels = parameters.get("labels")
    own = after is not None and first in after.own
    whole = (after.dtype(first) if after is not None and own else fixed.tensors[first].dtype) in WHOLE
    top = [] if labels is None else [of_classes(first, labels, whole=whole)]
    shapes = {name: fixed.tensors[name].shape for name in fixed.inputs}
    with accuracy.opened(inputs, parameters, shapes) as measures:
        yield lambda: [*top, *measures()]


def _layers(fixed: FixedModel) -> list[str]:
    return [name for operator in fixed.operators for name in operator.outputs]


def _held(match: Match, one: Run, seen: Seen) -> dict[str, Any]:
    """The outputs of a run, held against the fixed-point model as its layers are: those that the model has,
    too, for the compiler may put operators in the place of others; and those that consist of such."""
    match.through.update({name: parts for name, parts in seen.parts.items() if name in seen.layers})
    match.repeating.update(seen.repeating)
    match.inexact.update(seen.inexact)
    expected, outputs = one.expected({**seen.layers, **seen.outputs}), one.own(seen.outputs)
    match.add("layers", one.own(seen.layers), expected, one.place)
    match.add("outputs", outputs, expected, one.place)
    return outputs


def _real(integers: Mapping[str, Any], names: Sequence[str], fixed: FixedModel) -> dict[str, Any]:
    """Inputs or outputs as float32, as what runs after the chip gets them."""
    import numpy as np

    from modelbuild.arithmetic.number import dequantize_array

    return {name: dequantize_array(integers[name], fixed.tensors[name]).astype(np.float32) for name in names}


def _samples(
    inputs: Mapping[str, Path], parameters: Mapping[str, Any], fixed: FixedModel, after: AfterChip | None
) -> Iterator[Sample]:
    """Each sample with what the fixed-point model makes of it."""
    from modelbuild.arithmetic.sessions import session
    from modelbuild.stages.hardware_runs import Sample

    prepared = session(fixed)
    for integers, real in _given(inputs, parameters, fixed, after):
        yield Sample(integers, real, prepared.run(integers, "all"))


def _given(
    inputs: Mapping[str, Path], parameters: Mapping[str, Any], fixed: FixedModel, after: AfterChip | None
) -> Iterator[tuple[dict[str, Any], Mapping[str, Any]]]:
    """The chip's inputs as integers, and all inputs as they were read, sample by sample. What only runs after
    the chip is given zeros where samples are generated."""
    import numpy as np

    from modelbuild.arithmetic.number import quantize_array
    from modelbuild.stages.files import fixed_samples

    if parameters["random"]:
        chip = [*fixed.inputs, *fixed.outputs]
        further = {} if after is None else after.further_inputs(chip)
        zeros = {name: np.zeros(shape, dtype) for name, (shape, dtype) in further.items()}
        for integers in _generated([fixed.tensors[name] for name in fixed.inputs]):
            yield integers, {**zeros, **_real(integers, fixed.inputs, fixed)}
    for sample in fixed_samples(inputs, parameters["samples"], fixed, parameters["preprocess"], after):
        yield {name: quantize_array(sample[name], fixed.tensors[name]) for name in fixed.inputs}, sample


def _generated(tensors: Sequence[QuantizedTensor]) -> Iterator[dict[str, Any]]:
    """Inputs for where there are no samples, the same on any machine: integers of the whole range; its two
    ends, mixed; and one end in the first half, the other in the second, as large accumulators need. Floats
    lie between -1 and 1."""
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
        yield {t.name: (made(t) / 2**31 if t.floating else made(t)).astype(t.dtype) for t in tensors}
