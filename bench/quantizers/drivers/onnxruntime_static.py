"""onnxruntime's static quantization: `method`, `symmetric`, `bits`."""

from __future__ import annotations

from pathlib import Path

from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from bench.quantizers.drivers import common


def quantize(job: common.Job) -> None:
    """Leaves the job's output."""
    settings = job["settings"]
    prepared = str(Path(job["output"]).with_suffix(".prepared.onnx"))
    try:
        quant_pre_process(job["model"], prepared, skip_symbolic_shape=True)
    except Exception as error:  # its own advice is to go on without
        print(f"quant_pre_process: {error}")
        prepared = job["model"]
    kind = QuantType.QInt16 if settings.get("bits") == 16 else QuantType.QInt8
    quantize_static(
        prepared,
        job["output"],
        common.Reader(job),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=kind,
        weight_type=kind,
        calibrate_method=CalibrationMethod[settings["method"]],
        extra_options={"ActivationSymmetric": settings["symmetric"], "WeightSymmetric": True},
    )


if __name__ == "__main__":
    common.main(["onnxruntime", "onnx", "numpy"], quantize)
