"""What `convert` writes: both parts or none, and nothing of an earlier conversion beside them."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
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


def test_an_interrupt_between_two_moves_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whenever it comes: just after each of the moves, and as a signal, which waits for the last."""
    out, post = tmp_path / "m.onnx", tmp_path / "m_post.onnx"
    before = {"m.onnx": b"old m.onnx", "m_post.onnx": b"old m_post.onnx"}
    replace = Path.replace
    for failing in (1, 2, 3, 4):
        for name, content in before.items():
            (tmp_path / name).write_bytes(content)
        moves = iter(range(1, 100))

        def interrupted(
            path: Path, target: Path, failing: int = failing, moves: Iterator[int] = moves
        ) -> Path:
            done = replace(path, target)
            if next(moves) == failing:
                raise KeyboardInterrupt
            return done

        with monkeypatch.context() as patched:
            patched.setattr(Path, "replace", interrupted)
            patched.setattr(convert_files.onnx_io, "export", _plain_export)
            with pytest.raises(KeyboardInterrupt):
                convert_files.write([(out, graph()), (post, graph(is_post=True))], None)
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_signal_waits_until_both_parts_are_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, post = tmp_path / "m.onnx", tmp_path / "m_post.onnx"
    out.write_bytes(b"old")
    replace = Path.replace

    def struck(path: Path, target: Path) -> Path:
        os.kill(os.getpid(), signal.SIGINT)
        return replace(path, target)

    monkeypatch.setattr(convert_files.onnx_io, "export", _plain_export)
    monkeypatch.setattr(Path, "replace", struck)
    with pytest.raises(KeyboardInterrupt):
        convert_files.write([(out, graph()), (post, graph(is_post=True))], None)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        "m.onnx": b"net",
        "m_post.onnx": b"net",
    }


def test_what_cannot_even_be_put_back_is_kept_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "m.onnx"
    out.write_bytes(b"the only copy")
    replace = Path.replace

    def fails(path: Path, target: Path) -> Path:
        if path == out:
            return replace(path, target)
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(convert_files.onnx_io, "export", _plain_export)
        patched.setattr(Path, "replace", fails)
        with pytest.raises(ModelbuildError, match=r"m\.onnx could not be put back") as caught:
            convert_files.write([(out, graph())], None)
    [problem] = caught.value.problems
    assert caught.value.exit_code == 1 and problem.why == "Input/output error"
    assert Path(problem.where, "m.onnx").read_bytes() == b"the only copy"


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
