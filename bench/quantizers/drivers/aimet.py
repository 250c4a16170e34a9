"""AIMET's simulation of quantization, exported as QDQ: `scheme`, `equalize`."""

from __future__ import annotations

import onnx
from aimet_onnx.common.defs import QuantScheme
from aimet_onnx.cross_layer_equalization import equalize_model
from aimet_onnx.quantsim import QuantizationSimModel

from bench.quantizers.drivers import common


def quantize(job: common.Job) -> None:
    """Leaves the job's output."""
    settings = job["settings"]
    model = onnx.load(job["model"])
    if settings.get("equalize"):
        equalize_model(model)
    simulation = QuantizationSimModel(
        model, quant_scheme=QuantScheme[settings["scheme"]], providers=["CPUExecutionProvider"]
    )
    simulation.compute_encodings({job["input"]: x} for x in common.samples(job))
    onnx.save(simulation.to_onnx_qdq(), job["output"])


if __name__ == "__main__":
    common.main(["aimet-onnx", "onnxruntime", "onnx", "numpy"], quantize)
