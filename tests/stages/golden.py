"""What every stage makes of one small project. `python -m tests.stages.golden` renews golden.json.

The model's weights and inputs are small integers, so that float inference is exact on any machine.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from modelbuild import api

GOLDEN = Path(__file__).with_name("golden.json")
MANIFEST = """\
modelbuild: 1
samples: {integers: {files: data/*.npy, labels: data/labels.txt}}
models:
  small: {source: small.onnx, calibration: integers, verify: {hardware: all}, accept: {snr_db: 5}}
targets: {nef: {chip: kl720}, mpk: {chip: modalix}, old: {chip: kl520}}
packages: {all: {targets: [nef, mpk, old], models: {small: {id: 32768}}}}
"""


def write_project(folder: Path) -> None:
    """A convolution, an addition, a pool and a fully connected layer, of integers all."""
    draw = np.random.Generator(np.random.PCG64(7))

    def integers(*shape: int) -> np.ndarray[Any, Any]:
        return draw.integers(-3, 4, shape).astype(np.float32)

    constants = {
        "w1": integers(4, 3, 3, 3),
        "b1": integers(4),
        "w2": integers(4, 1, 3, 3),
        "w3": integers(5, 4),
    }
    nodes = [
        helper.make_node("Conv", ["image", "w1", "b1"], ["a"], name="stem", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["a"], ["b"], name="relu"),
        helper.make_node("Conv", ["b", "w2"], ["c"], name="depthwise", pads=[1, 1, 1, 1], group=4),
        helper.make_node("Add", ["b", "c"], ["d"], name="residual"),
        helper.make_node("GlobalAveragePool", ["d"], ["e"], name="pool"),
        helper.make_node("Flatten", ["e"], ["f"], name="flat"),
        helper.make_node("Gemm", ["f", "w3"], ["scores"], name="head", transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 5])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    (folder / "small.onnx").write_bytes(model.SerializeToString(deterministic=True))
    (folder / "data").mkdir()
    lines = []
    for index in range(8):
        np.save(folder / f"data/{index}.npy", integers(1, 3, 8, 8))
        lines.append(f"{index}.npy {index % 5}\n")
    (folder / "data/labels.txt").write_text("".join(lines), encoding="utf-8")
    (folder / "models.yaml").write_text(MANIFEST, encoding="utf-8")
    onnx.checker.check_model(model)


def measured(folder: Path) -> dict[str, dict[str, str]]:
    """Stage -> "action output" -> digest, after a build in `folder`."""
    write_project(folder)
    project = api.open_project(folder)
    result = project.builder.build(
        project.plan.actions, [action.name for action in project.plan.actions], jobs=2
    )
    assert result.ok, result.failures
    found: dict[str, dict[str, str]] = {}
    for action in project.plan.actions:
        stage = action.name.rsplit(":", 1)[1]
        for name in result.outputs[action.name]:
            data = project.builder.output(result, action.name, name).read_bytes()
            found.setdefault(stage, {})[f"{action.name} {name}"] = digest(name, data)
    return found


def digest(name: str, data: bytes) -> str:
    """SHA-256; of JSON with its real numbers at nine digits, for a logarithm's last bit is the library's."""
    if name.endswith(".json"):
        data = json.dumps(rounded(json.loads(data)), sort_keys=True).encode()
    return hashlib.sha256(data).hexdigest()


def rounded(value: Any) -> Any:
    """Real numbers at nine significant digits, wherever they stand."""
    if isinstance(value, float):
        return float(f"{value:.9g}")
    if isinstance(value, list):
        return [rounded(item) for item in value]
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    return value


def version(stage: str) -> str:
    """The stage's VERSION."""
    found: str = import_module(f"modelbuild.stages.{stage}").VERSION
    return found


def main() -> None:
    """Write golden.json."""
    with tempfile.TemporaryDirectory() as folder:
        stages = measured(Path(folder))
    data = {stage: {"version": version(stage), "outputs": outputs} for stage, outputs in stages.items()}
    GOLDEN.write_text(json.dumps(data, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
