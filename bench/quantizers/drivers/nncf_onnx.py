"""NNCF's post-training quantization of an ONNX model: `preset` (performance or mixed)."""

from __future__ import annotations

import nncf
import onnx

from bench.quantizers.drivers import common


def quantize(job: common.Job) -> None:
    """Leaves the job's output."""
    name = job["input"]
    found = nncf.quantize(
        onnx.load(job["model"]),
        nncf.Dataset(common.Reader(job), lambda x: {name: x}),
        preset=nncf.QuantizationPreset(job["settings"]["preset"]),
        subset_size=len(common.Reader(job)),
    )
    onnx.save(found, job["output"])


if __name__ == "__main__":
    common.main(["nncf", "openvino", "onnxruntime", "onnx", "numpy"], quantize)
