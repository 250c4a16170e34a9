"""The configuration files of an MPK's pipeline, one a step, and the file that puts the steps in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from modelbuild.formats.json_text import Json
from modelbuild.formats.mpk_plugin import MpkTensor

_VERSION = 0.1  # of every published configuration file


def preproc(inputs: Sequence[MpkTensor], preprocess: Mapping[str, Json], batch: int) -> dict[str, Json]:
    """`0_preproc.json`: the inputs and the preprocessing that the manifest declares for each."""
    described: list[Json] = [
        {**_described(tensor), "preprocess": preprocess.get(tensor.name)} for tensor in inputs
    ]
    return {"version": _VERSION, "simaai__params": {"batch_size": batch, "inputs": described}}


def postproc(outputs: Sequence[MpkTensor], batch: int) -> dict[str, Json]:
    """`0_postproc.json`: how the outputs become real numbers."""
    described: list[Json] = [_described(tensor) for tensor in outputs]
    return {"version": _VERSION, "simaai__params": {"batch_size": batch, "outputs": described}}


def process_mla(
    inputs: Sequence[MpkTensor], outputs: Sequence[MpkTensor], program: str, desired: int, actual: int
) -> dict[str, Json]:
    """`0_process_mla.json`: the accelerator's program and the sizes of a batch."""
    return {
        "version": _VERSION,
        "simaai__params": {
            "batch_size": desired,
            "batch_sz_model": actual,
            "in_tensor_sz": sum(tensor.size for tensor in inputs) * actual,
            "out_tensor_sz": sum(tensor.size for tensor in outputs) * actual,
            "outputs": [{"name": tensor.name, "size": tensor.size * actual} for tensor in outputs],
            "model_path": program,
            "next_cpu": 1,
        },
        "data_type": [tensor.scalar.upper() for tensor in outputs],
    }


def sequence() -> dict[str, Json]:
    """`pipeline_sequence.json`: preprocessing, accelerator, postprocessing."""
    steps = (
        ("preproc", "processcvu", "0_preproc.json", "CVU", "preproc"),
        ("mla", "processmla", "0_process_mla.json", "MLA", "infer"),
        ("postproc", "processcvu", "0_postproc.json", "CVU", "dequant"),
    )
    found: list[Json] = []
    before = "decoder"
    for number, (name, plugin, config, processor, kernel) in enumerate(steps, start=1):
        found.append(
            {
                "sequence_id": number,
                "name": name,
                "pluginId": plugin,
                "configPath": config,
                "processor": processor,
                "kernel": kernel,
                "input": before,
            }
        )
        before = name
    return {"pipelines": [{"sequence": found}]}


def _described(tensor: MpkTensor) -> dict[str, Json]:
    return {
        "name": tensor.name,
        "shape": list(tensor.shape),
        "data_type": tensor.scalar.upper(),
        "scale": tensor.scale,
        "zero_point": tensor.zero_point,
    }
