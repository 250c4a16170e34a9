"""What `convert` writes: both parts or none, and nothing of an earlier conversion beside them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from modelbuild.errors import ModelbuildError
from modelbuild.graph import after_chip
from modelbuild.graph.model import Graph, Node
from modelbuild.project import convert_files


def graph(op: str = "Relu", *, is_post: bool = False) -> Graph:
    found = Graph("net", [Node(op, "n", ["x"], ["y"])], ["x"], ["y"], {})
    found.shapes = {"x": (1, 2), "y": (1, 2)}
    found.dtypes = {"x": np.dtype(np.float32), "y": np.dtype(np.float32)}
    if is_post:
        after_chip.mark(found, ["y"])
    return found


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_both_parts_are_written_and_nothing_else(tmp_path: Path) -> None:
    out, post = tmp_path / "m.onnx", tmp_path / "m_post.onnx"
    model, rest = convert_files.write([(out, graph()), (post, graph("Softmax", is_post=True))], None)
    assert names(tmp_path) == ["m.onnx", "m_post.onnx"]
    assert (model.path, model.size) == (out, out.stat().st_size)
    assert rest.outputs == ({"name": "y", "shape": [1, 2], "dtype": "float32"},)
    assert [node.op_type for node in onnx.load(str(post)).graph.node] == ["Softmax"]


@pytest.mark.parametrize("failing", [1, 2, 3, 4])
def test_where_one_file_cannot_be_put_in_place_all_is_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    out, post = tmp_path / "m.onnx", tmp_path / "m_post.onnx"
    for path in (out, post):
        path.write_bytes(b"old " + path.name.encode())
    calls, replace = 0, Path.replace

    def fails(path: Path, target: Path) -> Path:
        nonlocal calls
        calls += "old" in (path.parent.name, target.parent.name) or path.parent.name == "new"
        if calls == failing:
            raise OSError(28, "No space left on device")
        return replace(path, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", fails)
        patched.setattr(convert_files.onnx_io, "export", _plain_export)
        with pytest.raises(ModelbuildError, match=r"cannot write m\.onnx") as caught:
            convert_files.write([(out, graph()), (post, graph(is_post=True))], None)
    assert caught.value.exit_code == 1 and caught.value.problems[0].why == "No space left on device"
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        "m.onnx": b"old m.onnx",
        "m_post.onnx": b"old m_post.onnx",
    }


def _plain_export(exported: Graph, path: Path) -> list[Path]:
    path.write_bytes(exported.name.encode())
    return [path]


def test_only_a_part_after_the_chip_is_left_behind(tmp_path: Path) -> None:
    out, post = tmp_path / "m.onnx", tmp_path / "m_post.onnx"
    assert convert_files.left_behind(out) is None
    for content in (b"", b"somebody's", convert_files.OURS + b"\xff\xff"):
        post.write_bytes(content)
        assert convert_files.left_behind(out) is None
    convert_files.write([(post, graph())], None)  # a model of its own that is only called so
    assert convert_files.left_behind(out) is None
    convert_files.write([(post, graph(is_post=True))], None)
    assert convert_files.left_behind(out) == post
    convert_files.write([(out, graph())], post)
    assert names(tmp_path) == ["m.onnx"]
