"""Runs inside the judge's environment (Python 3.7 to 3.10): does what request.json of its folder says."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nncase
import numpy as np

# The structure of the options does not set these.
UNSET = ("is_fpga", "dump_ir", "dump_asm", "dump_quant_error", "dump_import_op_range", "benchmark_only")


def run(count: int) -> None:
    """The outputs of model for each of the input sets of given.npz; the seconds of it all first."""
    simulator = nncase.Simulator()
    simulator.load_model(Path("model").read_bytes())
    with np.load("given.npz") as given:
        sets: list[list[np.ndarray]] = [[] for _ in range(count)]
        for name in given.files:
            sets[int(name.split(" ")[0])].append(given[name])
    outputs, seconds = {}, 0.0
    for at, one in enumerate(sets):
        if len(one) != simulator.inputs_size:
            raise ValueError(f"the model has {simulator.inputs_size} inputs")
        for index, array in enumerate(one):
            simulator.set_input_tensor(index, nncase.RuntimeTensor.from_numpy(array))
        began = time.perf_counter()
        simulator.run()
        seconds += time.perf_counter() - began
        for index in range(simulator.outputs_size):
            outputs[f"{at} {index}"] = simulator.get_output_tensor(index).to_numpy().copy()
    np.savez("found.npz", seconds=seconds, **outputs)


def compile_model(request: Mapping[str, Any]) -> None:
    """The kmodel of model, an ONNX file."""
    options, quantization = nncase.CompileOptions(), nncase.PTQTensorOptions()
    options.target = request["target"]
    options.dump_dir = "dump"
    for name in UNSET:
        setattr(options, name, False)
    for name, value in request["options"].items():
        setattr(quantization if hasattr(quantization, name) else options, name, value)
    compiler = nncase.Compiler(options)
    compiler.import_onnx(Path("model").read_bytes(), nncase.ImportOptions())
    if request["samples"]:
        quantization.samples_count = request["samples"]
        quantization.set_tensor_data(Path("samples").read_bytes())
        compiler.use_ptq(quantization)
    compiler.compile()
    Path("found").write_bytes(compiler.gencode_tobytes())


if __name__ == "__main__":
    found = json.loads(Path("request.json").read_text("utf-8"))
    if found["action"] == "run":
        run(found["sets"])
    else:
        compile_model(found)
