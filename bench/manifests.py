"""Projects of many tiny models that really are imported, quantized, compiled and packaged."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

PER_PACKAGE = 10
ACTIONS_PER_MODEL = 13.3  # thirteen of its own, and three of each package of ten
FIRST_ID = 32768
CHIP = "kl720"


def models_for(actions: int) -> int:
    """How many models make about so many actions."""
    return max(1, round(actions / ACTIONS_PER_MODEL))


def write(folder: Path, models: int) -> None:
    """The project: a manifest, the models, and one sample."""
    (folder / "models").mkdir(parents=True)
    (folder / "samples").mkdir()
    for index in range(models):
        write_model(folder, index, index)
    np.save(folder / "samples/one.npy", np.linspace(-1, 1, 8, dtype=np.float32).reshape(1, 8))
    (folder / "models.yaml").write_text(manifest(models), encoding="utf-8")


def model_path(index: int) -> str:
    """Where the model lies, relative to the project."""
    return f"models/m{index:05d}.onnx"


def write_model(folder: Path, index: int, seed: int) -> None:
    """A fully connected layer of eight inputs and four outputs; every seed gives other weights."""
    draw = np.random.Generator(np.random.PCG64(seed))
    weights = draw.uniform(-1, 1, (4, 8)).astype(np.float32)
    # random weights of two seeds could round to one program, and two models to one action
    weights[0, 0] = struct.unpack("<f", struct.pack("<I", 0x3F000000 + seed))[0]
    graph = helper.make_graph(
        [helper.make_node("Gemm", ["x", "w"], ["y"], name="layer", transB=1)],
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4])],
        [numpy_helper.from_array(weights, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    (folder / model_path(index)).write_bytes(model.SerializeToString(deterministic=True))


def manifest(models: int) -> str:
    """The text of models.yaml."""
    names = [f"m{index:05d}" for index in range(models)]
    lines = ["modelbuild: 1", "samples:", "  one: {files: samples/*.npy}", "defaults:"]
    lines += ["  verify: {hardware: none}", "models:"]
    for index, name in enumerate(names):
        lines += [f"  {name}:", f"    source: {model_path(index)}", "    calibration: {set: one, count: 1}"]
    lines += ["targets:", f"  cam: {{chip: {CHIP}}}", "packages:"]
    for start in range(0, models, PER_PACKAGE):
        lines += [f"  p{start // PER_PACKAGE:04d}:", "    target: cam", "    models:"]
        lines += [
            f'      {name}: {{id: {FIRST_ID + start + place}, version: "0001"}}'
            for place, name in enumerate(names[start : start + PER_PACKAGE])
        ]
    return "\n".join(lines) + "\n"
