"""The digits example: what is committed is what its script makes, and is as good as its README says."""

from __future__ import annotations

import ast
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import yaml

from modelbuild.samples.loader import gather_files, load, read_labels, spread
from modelbuild.samples.preprocess import from_settings, resulting_range

DIGITS = Path(__file__).resolve().parent.parent.parent / "examples" / "digits"
MODEL = DIGITS / "models" / "digits.onnx"


@pytest.fixture(scope="module")
def manifest() -> dict[str, object]:
    loaded: dict[str, object] = yaml.safe_load((DIGITS / "models.yaml").read_text(encoding="utf-8"))
    return loaded


def declared(manifest: dict[str, object]) -> dict[str, object]:
    model = manifest["models"]["digits"]  # type: ignore[index]
    preprocess: dict[str, object] = model["inputs"]["image"]["preprocess"]
    return preprocess


def digest(folder: Path) -> dict[str, str]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files
    }


def test_the_model_is_small_and_of_the_promised_operators() -> None:
    assert MODEL.stat().st_size < 300_000
    model = onnx.load(MODEL)
    onnx.checker.check_model(model, full_check=True)
    operators = {node.op_type for node in model.graph.node}
    assert operators >= {"Conv", "BatchNormalization", "Clip", "Add", "GlobalAveragePool", "Gemm", "Softmax"}
    groups = {
        onnx.helper.get_node_attr_value(node, "group") for node in model.graph.node if node.op_type == "Conv"
    }
    assert groups == {1, 16, 32, 64}
    assert [entry.version for entry in model.opset_import] == [17]


def test_float_accuracy_on_unseen_digits(manifest: dict[str, object]) -> None:
    files = gather_files("data/test/*.png", DIGITS)
    labels = np.array(read_labels(DIGITS / "data" / "test.txt", files))
    preprocess = from_settings(declared(manifest))
    assert resulting_range(preprocess) == ((-1.0, 1.0),)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(MODEL, options, providers=["CPUExecutionProvider"])
    guesses = []
    for path in files:
        image = load(path, "image", (1, 1, 16, 16), "float32", preprocess)
        (probabilities,) = session.run(None, {"image": image})
        assert probabilities.shape == (1, 10) and abs(float(probabilities.sum()) - 1) < 1e-5
        guesses.append(int(probabilities.argmax()))
    assert len(files) == 400
    assert int((np.array(guesses) == labels).sum()) == 395


def test_calibration_and_test_share_no_picture() -> None:
    test = gather_files("data/test/*.png", DIGITS)
    calibration = gather_files("data/calibration/*.png", DIGITS)
    assert len(calibration) == 64 and spread(64, len(calibration)) == list(range(64))
    assert not {path.name for path in test} & {path.name for path in calibration}
    assert not {path.read_bytes() for path in test} & {path.read_bytes() for path in calibration}
    assert set(read_labels(DIGITS / "data" / "calibration.txt", calibration)) == set(range(10))


def test_training_and_builds_preprocess_alike(manifest: dict[str, object]) -> None:
    tree = ast.parse((DIGITS / "train.py").read_text(encoding="utf-8"))
    constants = {
        ast.unparse(node.targets[0]): node.value for node in tree.body if isinstance(node, ast.Assign)
    }
    assert ast.literal_eval(constants["PREPROCESS"]) == declared(manifest)


def run_script(folder: Path, *arguments: str) -> None:
    command = [sys.executable, "-B", str(DIGITS / "train.py"), "--out", str(folder), *arguments]
    subprocess.run(
        command, check=True, capture_output=True, cwd=folder, env={**os.environ, "PYTHONHASHSEED": "7"}
    )


def test_the_script_writes_the_committed_pictures_and_trains(tmp_path: Path) -> None:
    pytest.importorskip("sklearn", reason="training needs the extra `train`")
    run_script(tmp_path, "--epochs", "1")
    assert digest(tmp_path / "data") == digest(DIGITS / "data")
    onnx.checker.check_model(onnx.load(tmp_path / "models" / "digits.onnx"), full_check=True)


@pytest.mark.long
def test_training_again_gives_the_same_model(tmp_path: Path) -> None:
    """In every byte, on one machine; another kind of CPU may round matrix products differently."""
    pytest.importorskip("sklearn", reason="training needs the extra `train`")
    for run in ("first", "second"):
        (tmp_path / run).mkdir()
        run_script(tmp_path / run)
    assert digest(tmp_path / "first") == digest(tmp_path / "second")
