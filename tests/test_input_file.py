"""Input files: what is no regular file is refused and never waited for; a limit is said."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from modelbuild import input_file
from modelbuild.errors import ModelbuildError, Problem


def refused(path: Path, limit: int = 100) -> Problem:
    with pytest.raises(ModelbuildError) as caught:
        input_file.read(path, limit)
    return caught.value.problems[0]


def test_a_file_is_read_up_to_the_limit(tmp_path: Path) -> None:
    file = tmp_path / "a.nef"
    file.write_bytes(b"x" * 100)
    assert input_file.read(file, 100) == b"x" * 100
    problem = refused(file, 99)
    assert problem.what == "a.nef is too large to be read"
    assert (problem.where, problem.why) == (str(file), "it has 100 bytes, and 99 are the limit")


def test_slices_of_a_file_are_those_of_its_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(input_file, "_PIECE", 7)
    file, content = tmp_path / "a", bytes(range(100))
    file.write_bytes(content)
    with input_file.sliced(file, 100) as data:
        assert len(data) == 100
        for place in (slice(0, 10), slice(90, 200), slice(60, 50), slice(99, None), slice(None, 3)):
            assert data[place] == content[place]
        assert b"".join(data.pieces()) == content
        assert list(data.pieces(5, 20)) == [content[5:12], content[12:19], content[19:20]]
    with pytest.raises(ModelbuildError, match="too large"), input_file.sliced(file, 99):
        pass


def test_a_file_that_becomes_shorter_while_it_is_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(1 << 20))
    with input_file.sliced(tmp_path / "a") as data:
        (tmp_path / "a").write_bytes(bytes(1 << 19))
        with pytest.raises(ModelbuildError, match="a became shorter while it was read"):
            data[(1 << 19) - 1 : (1 << 19) + 1]


def test_a_link_to_a_file_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"content")
    (tmp_path / "b").symlink_to("a")
    assert input_file.read(tmp_path / "b") == b"content"


def test_a_fifo_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    fifo = tmp_path / "pipe.onnx"
    os.mkfifo(fifo)
    problem = refused(fifo)
    assert (problem.what, problem.why) == ("pipe.onnx is a FIFO", "only regular files are read")
    (tmp_path / "link.onnx").symlink_to(fifo)
    assert refused(tmp_path / "link.onnx").what == "link.onnx is a FIFO"


def test_who_writes_into_a_fifo_goes_on_waiting(tmp_path: Path) -> None:
    """A FIFO that is opened for reading would let its writer begin, and then fail it."""
    fifo = tmp_path / "pipe"
    os.mkfifo(fifo)
    opens: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "open", lambda path, flags: opens.append(str(path)))
        assert refused(fifo).what == "pipe is a FIFO"
    assert opens == []


def test_folders_devices_and_sockets_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # the name of a socket is short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        assert refused(Path("socket")).what == "socket is a socket"
    assert refused(tmp_path).what.endswith(" is a folder")
    assert refused(Path(os.devnull)).what == "null is a device"


def test_what_is_not_there_is_named_with_the_reason(tmp_path: Path) -> None:
    problem = refused(tmp_path / "none.nef")
    assert problem.what == "none.nef cannot be read"
    assert (problem.where, problem.why) == (str(tmp_path / "none.nef"), "No such file or directory")
    assert refused(Path("a\0b")).what == "a\0b cannot be read"


def test_what_was_opened_counts_whatever_had_its_name_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"")
    regular = (tmp_path / "file").stat()
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.setattr(Path, "stat", lambda path: regular)
    assert refused(tmp_path / "pipe").what == "pipe is a FIFO"


def test_what_fails_inside_the_block_is_not_taken_for_the_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    with pytest.raises(OSError, match="other"), input_file.opened(tmp_path / "a"):
        raise OSError("other")


def test_errors_of_a_block_name_the_file() -> None:
    for where, named in (
        ("", "a.nef"),
        ("offset 0x4", "a.nef: offset 0x4"),
        ("/deep/a.nef", "a.nef"),
        ("/deep/a.nef: slot 3", "a.nef: slot 3"),
        ("a.nef: slot 3", "a.nef: slot 3"),
    ):
        with pytest.raises(ModelbuildError) as caught, input_file.naming("a.nef", "/deep/a.nef"):
            raise ModelbuildError("damaged", where=where, exit_code=1)
        assert (caught.value.problems[0].where, caught.value.exit_code) == (named, 1)
