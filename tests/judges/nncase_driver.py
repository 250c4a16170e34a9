"""Runs inside the judge's environment (Python 3.7 to 3.10): does what request.json of its folder says."""

import json
from pathlib import Path

import nncase
import numpy as np

# The structure of the options does not set these.
UNSET = ("is_fpga", "dump_ir", "dump_asm", "dump_quant_error", "dump_import_op_range", "benchmark_only")


def run():
    """The outputs of model for given.npz."""
    simulator = nncase.Simulator()
    simulator.load_model(Path("model").read_bytes())
    with np.load("given.npz") as given:
        if len(given.files) != simulator.inputs_size:
            raise ValueError(f"the model has {simulator.inputs_size} inputs")
        for index in range(len(given.files)):
            simulator.set_input_tensor(index, nncase.RuntimeTensor.from_numpy(given[str(index)]))
    simulator.run()
    outputs = {str(i): simulator.get_output_tensor(i).to_numpy() for i in range(simulator.outputs_size)}
    np.savez("found.npz", **outputs)


def compile_model(request):
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
        run()
    else:
        compile_model(found)
