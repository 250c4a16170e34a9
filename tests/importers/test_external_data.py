"""Weights in files beside the model."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from modelbuild import importers
from modelbuild.errors import ModelbuildError

WEIGHTS = np.arange(4096, dtype=np.float32)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A model whose only weights lie in `weights/w.bin`."""
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [4096]) for name in ("x", "y")]
    node = helper.make_node("Add", ["x", "w"], ["y"])
    tensor = numpy_helper.from_array(WEIGHTS, "w")
    model = helper.make_model(helper.make_graph([node], "g", ports[:1], ports[1:], [tensor]))
    model.ir_version = 8
    model.opset_import[0].version = 13
    (tmp_path / "weights").mkdir()
    onnx.save(model, str(tmp_path / "m.onnx"), save_as_external_data=True, location="weights/w.bin")
    return tmp_path / "m.onnx"


def relocate(path: Path, **fields: str) -> None:
    model = onnx.load(str(path), load_external_data=False)
    entries = {entry.key: entry for entry in model.graph.initializer[0].external_data}
    for key, value in fields.items():
        if key in entries:
            entries[key].value = value
        else:
            model.graph.initializer[0].external_data.add(key=key, value=value)
    path.write_bytes(model.SerializeToString())


def refused(path: Path) -> str:
    with pytest.raises(ModelbuildError) as caught:
        importers.load(path)
    assert caught.value.exit_code == 2
    return " ".join(str(caught.value).split())


def test_it_is_read_and_discovered(path: Path) -> None:
    assert np.array_equal(importers.load(path).constants["w"], WEIGHTS)
    assert importers.discover(path) == [path.parent / "weights" / "w.bin"]


def test_a_missing_file_is_named_and_still_discovered(path: Path) -> None:
    data = path.parent / "weights" / "w.bin"
    data.unlink()
    assert "`weights/w.bin`, which is missing" in refused(path)
    assert importers.discover(path) == [data]


def test_a_truncated_file_and_an_lfs_pointer(path: Path) -> None:
    data = path.parent / "weights" / "w.bin"
    data.write_bytes(data.read_bytes()[:-1])
    assert "the file is truncated" in refused(path)
    data.write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    assert "git lfs pull" in refused(path)


def test_a_fifo_is_refused_and_not_waited_for(path: Path) -> None:
    data = path.parent / "weights" / "w.bin"
    data.unlink()
    os.mkfifo(data)
    assert "w.bin is a FIFO" in refused(path)


@pytest.mark.parametrize("location", ["../w.bin", "/etc/passwd", "weights/../../w.bin", "a\\..\\b", ""])
def test_places_outside_of_the_folder_are_refused(path: Path, location: str) -> None:
    relocate(path, location=location)
    assert "must lie beside the model" in refused(path)
    with pytest.raises(ModelbuildError):
        importers.discover(path)


def test_a_link_that_leads_out_is_refused(path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside") / "w.bin"
    outside.write_bytes(WEIGHTS.tobytes())
    data = path.parent / "weights" / "w.bin"
    data.unlink()
    data.symlink_to(outside)
    assert "leads out of the model's folder" in refused(path)


def test_a_link_to_a_model_finds_the_weights_beside_the_model(path: Path, tmp_path: Path) -> None:
    (tmp_path / "links" / "weights").mkdir(parents=True)
    link = tmp_path / "links" / "m.onnx"
    link.symlink_to(path)
    (tmp_path / "links" / "weights" / "w.bin").symlink_to(path.parent / "weights" / "w.bin")
    assert np.array_equal(importers.load(link).constants["w"], WEIGHTS)


@pytest.mark.parametrize(
    "fields",
    [{"length": "8"}, {"offset": "-4"}, {"offset": "x"}, {"offset": "999999999"}, {"offset": f"{10**30}"}],
)
def test_places_that_do_not_fit_are_refused(path: Path, fields: dict[str, str]) -> None:
    relocate(path, **fields)
    assert "`w`" in refused(path)
