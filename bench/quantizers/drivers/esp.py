"""esp-ppq for one of its `platform`s, exported for onnxruntime."""

from __future__ import annotations

import torch
from esp_ppq import QuantizationSettingFactory, TargetPlatform
from esp_ppq.api import export_ppq_graph, load_onnx_graph, quantize_native_model

from bench.quantizers.drivers import common


def quantize(job: common.Job) -> None:
    """Leaves the job's output."""
    platform = TargetPlatform[job["settings"]["platform"]]
    setting = getattr(QuantizationSettingFactory, job["settings"]["setting"])()
    batches = [torch.from_numpy(x) for x in common.samples(job)]
    graph = quantize_native_model(
        load_onnx_graph(job["model"]),
        calib_dataloader=batches,
        calib_steps=len(batches),
        input_shape=list(batches[0].shape),
        device="cpu",
        platform=platform,
        setting=setting,
    )
    export_ppq_graph(graph, TargetPlatform.ONNXRUNTIME, job["output"])


if __name__ == "__main__":
    common.main(["esp-ppq", "torch", "onnx", "numpy"], quantize)
