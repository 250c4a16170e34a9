"""Quark's quantization of an ONNX model by one of its named configurations: `config`."""

from __future__ import annotations

from quark.onnx import ModelQuantizer
from quark.onnx.quantization.config.config import Config
from quark.onnx.quantization.config.custom_config import get_default_config

from bench.quantizers.drivers import common


def quantize(job: common.Job) -> None:
    """Leaves the job's output."""
    config = Config(global_quant_config=get_default_config(job["settings"]["config"]))
    ModelQuantizer(config).quantize_model(job["model"], job["output"], common.Reader(job))


if __name__ == "__main__":
    common.main(["amd-quark", "onnxruntime", "onnx", "numpy"], quantize)
