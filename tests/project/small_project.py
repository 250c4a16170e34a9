"""Projects small enough to be built whole in a test: models of one layer, a few samples."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SHAPE = (1, 3, 4, 4)
CHANNELS = 2
PAIR = """\
samples: {some: {files: "data/*.npy"}}
defaults: {calibration: some}
models: {a: {source: a.onnx}, b: {source: b.onnx}}
targets: {cam: {chip: kl720}, eye: {chip: modalix}}
packages:
  pa: {target: cam, models: {a: {id: 32768}}}
  pb: {target: eye, models: [b]}
"""


def write_model(path: Path, seed: int = 1, *, external: bool = False) -> None:
    """A convolution with weights drawn from `seed`; `external` ones lie beside it in `weights.bin`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draw = np.random.Generator(np.random.PCG64(seed))
    weights = draw.integers(-3, 4, (CHANNELS, 3, 1, 1)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("Conv", ["image", "w"], ["scores"], name="conv")],
        "small",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, list(SHAPE))],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, CHANNELS, 4, 4])],
        [numpy_helper.from_array(weights, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    (path.parent / "weights.bin").unlink(missing_ok=True)  # onnx would append to it
    onnx.save_model(model, path, save_as_external_data=external, location="weights.bin", size_threshold=0)


def write_samples(folder: Path, count: int = 2) -> None:
    """`count` tensors of small integers as .npy files."""
    folder.mkdir(parents=True, exist_ok=True)
    draw = np.random.Generator(np.random.PCG64(0))
    for index in range(count):
        np.save(folder / f"{index}.npy", draw.integers(-3, 4, SHAPE).astype(np.float32))


def write_manifest(folder: Path, text: str) -> None:
    """`models.yaml`."""
    (folder / "models.yaml").write_text("modelbuild: 1\n" + text, encoding="utf-8")
