"""The import of fetched sources: files of the store have no suffix, so their address says what they are."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from modelbuild.errors import ModelbuildError
from modelbuild.graph import onnx_io
from modelbuild.stages import import_source

SOURCES = {
    ".tflite": ("tflite/mlperf_resnet8_float.tflite", None),
    ".h5": ("keras/mlperf_resnet8_cifar10.h5", None),
    ".prototxt": ("caffe/lenet/deploy.prototxt", "caffe/lenet/mnist_lenet.caffemodel"),
    ".onnx": ("onnx/mnist-8.onnx", None),
}


@pytest.mark.parametrize("suffix", SOURCES)
def test_a_fetched_source_is_read_by_the_suffix_of_its_address(
    shared_data: Path, tmp_path: Path, suffix: str
) -> None:
    if suffix == ".h5":
        pytest.importorskip("h5py")
    name, weights = SOURCES[suffix]
    stored = tmp_path / "blob"
    stored.write_bytes((shared_data / "models" / name).read_bytes())
    inputs = {"source": stored}
    if weights is not None:
        inputs["weights"] = shared_data / "models" / weights
    out = tmp_path / "out"
    out.mkdir()
    digest = hashlib.sha256(stored.read_bytes()).hexdigest()
    parameters = {"shapes": {}, "edits": [], "sha256": digest, "suffix": suffix}
    import_source.run(inputs, parameters, out)
    graph = onnx_io.read(out / "model.onnx")
    assert graph.inputs and graph.outputs
    assert str(tmp_path) not in (out / "source.json").read_text(encoding="utf-8")
    assert json.loads((out / "source.json").read_bytes())["format"] in ("tflite", "keras", "caffe", "onnx")


def test_errors_name_the_stored_file_and_not_its_stand_in(tmp_path: Path) -> None:
    stored = tmp_path / "blob"
    stored.write_bytes(b"no model")
    parameters = {"shapes": {}, "edits": [], "sha256": None, "suffix": ".tflite"}
    with pytest.raises(ModelbuildError) as caught:
        import_source.run({"source": stored}, parameters, tmp_path)
    assert str(stored) in str(caught.value) and "source.tflite" not in str(caught.value)
