"""What every stage makes of one small project, for each back end. `python -m tests.stages.golden` renews it.

The model's weights and inputs are small integers, so that float inference is exact on any machine. An action
whose outputs changed while nothing in its key did is refused: a cache would serve the old ones. Its stage
needs a new VERSION. `--first` takes in the stages that golden.json does not have yet.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import re
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from modelbuild import api
from modelbuild.build import canonical
from modelbuild.build.result import BuildResult
from modelbuild.build.state import open_state
from modelbuild.project.project import STATE, Project

Made = dict[str, dict[str, dict[str, Any]]]  # stage -> action -> {"key": digest, "outputs": {name: digest}}
GOLDEN = Path(__file__).with_name("golden.json")
MANIFEST = """\
modelbuild: 1
samples: {integers: {files: data/*.npy, labels: data/labels.txt}}
models:
  small: {source: small.onnx, calibration: integers, verify: {hardware: all}, accept: {snr_db: 5}}
targets: {nef: {chip: kl720}, mpk: {chip: modalix}, old: {chip: kl520}}
packages: {all: {targets: [nef, mpk, old], models: {small: {id: 32768}}}}
"""
# apart, for most tests of the project need none of it
KMODELS = f"""\
{MANIFEST.partition("targets:")[0]}\
targets: {{kpu: {{chip: k210}}, cpu: {{chip: nncase-cpu}}}}
packages: {{kmodels: {{targets: [kpu, cpu], models: [small]}}}}
"""


def write_project(folder: Path, manifest: str = MANIFEST) -> None:
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
    (folder / "models.yaml").write_text(manifest, encoding="utf-8")
    onnx.checker.check_model(model)


def measured(folder: Path) -> Made:
    """Each action's key and outputs, after builds of both projects in `folder`."""
    return together([_built(folder / str(number), text) for number, text in enumerate((MANIFEST, KMODELS))])


def _built(folder: Path, manifest: str) -> Made:
    folder.mkdir()
    write_project(folder, manifest)
    project = api.open_project(folder)
    result = project.builder.build(
        project.plan.actions, [action.name for action in project.plan.actions], jobs=1
    )
    assert result.ok, result.failures
    return made_by(project, result)


def together(several: Sequence[Made]) -> Made:
    """The actions of several projects; those that they share are the same in all."""
    made: Made = {}
    for one in several:
        for stage, actions in one.items():
            known = made.setdefault(stage, {})
            assert all(known.get(action, found) == found for action, found in actions.items()), stage
            known.update(actions)
    return made


def made_by(project: Project, result: BuildResult) -> Made:
    """Each action's key and outputs, of a project built as a whole."""
    outputs = {action.name: _outputs(project, result, action.name) for action in project.plan.actions}
    known = {
        result.outputs[action][name]: found
        for action, each in outputs.items()
        for name, found in each.items()
    }
    made: Made = {}
    for action, each in outputs.items():
        key = _key(project.root, action, known)
        made.setdefault(action.rsplit(":", 1)[1], {})[action] = {"key": key, "outputs": each}
    return made


def _outputs(project: Project, result: BuildResult, action: str) -> dict[str, str]:
    return {
        name: digest(name, project.builder.output(result, action, name).read_bytes())
        for name in result.outputs[action]
    }


def _key(folder: Path, action: str, known: Mapping[str, str]) -> str:
    """A digest of the fields of the action's key, less libraries, with `digest` of what other actions made:
    the same on every machine."""
    state = open_state(folder, folder / STATE, writable=False)
    entry = state.history.get(action)
    record = state.records.get(entry.key) if entry else None
    assert record is not None, action
    rows = [(path, known.get(str(value), value)) for path, value in record.fields if path[0] != "libraries"]
    return canonical.sha256(canonical.encode(rows))


def digest(name: str, data: bytes) -> str:
    """SHA-256, less what a library decides: a logarithm's last bit in JSON, how a text shows a number, how
    well an archive is packed."""
    if name.endswith(".json"):
        data = json.dumps(rounded(json.loads(data)), sort_keys=True).encode()
    elif name.endswith(".html"):
        data = re.sub(rb"\d+(\.\d+)?", b"0", data)
    elif name.endswith(".npz"):
        with np.load(io.BytesIO(data)) as arrays:
            data = b"".join(key.encode() + arrays[key].tobytes() for key in arrays.files)
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


def stale(stage: str, made: Made, known: Made) -> list[str]:
    """Outputs of a stage that are not what golden.json has under the same key."""
    return [
        f"{action} {name}"
        for action, found in made[stage].items()
        for name, now in found["outputs"].items()
        if action in known.get(stage, {})
        and known[stage][action]["key"] == found["key"]
        and known[stage][action]["outputs"].get(name) != now
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Write golden.json; 1, and nothing written, where a stage needs a new VERSION or `--first`."""
    parser = argparse.ArgumentParser(prog="python -m tests.stages.golden")
    parser.add_argument("--first", action="store_true", help="take in stages that golden.json does not have")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        made = measured(Path(folder))
    known: Made = json.loads(GOLDEN.read_bytes())
    refused = [
        f"{output} changed and its key did not: raise VERSION of modelbuild/stages/{stage}.py"
        for stage in made
        for output in stale(stage, made, known)
    ]
    if not options.first:
        refused += [f"{stage} is new: add --first" for stage in made if stage not in known]
    for line in refused:
        print(line, file=sys.stderr)
    if not refused:
        GOLDEN.write_text(json.dumps(made, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main())
