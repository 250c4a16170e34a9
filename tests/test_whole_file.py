"""Files that people asked for: whole or as they were."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from modelbuild import whole_file
from modelbuild.errors import ModelbuildError
from tests.streams import is_device, null_device, read_fifo


def test_it_takes_the_place_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    path.write_bytes(b"old")
    with whole_file.replacing(path) as private:
        private.write_bytes(b"new")
        assert path.read_bytes() == b"old" and private.parent == tmp_path
    assert path.read_bytes() == b"new" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_what_ends_early_changes_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "out.txt"
    path.write_bytes(b"old")
    with pytest.raises(error), whole_file.replacing(path) as private:
        private.write_bytes(b"ne")
        raise error
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_written_is_an_error_that_names_it(tmp_path: Path) -> None:
    whole_file.write(tmp_path / "out.txt", b"data")
    assert (tmp_path / "out.txt").read_bytes() == b"data"
    for path in (tmp_path / "gone/out.txt", tmp_path):
        with pytest.raises(ModelbuildError, match=f"{path.name}: cannot be written"):
            whole_file.write(path, b"data")
    assert [path.name for path in tmp_path.iterdir()] == ["out.txt"]


def test_a_device_stays_a_device(tmp_path: Path) -> None:
    node = null_device(tmp_path / "null")
    whole_file.write(node, b"data")
    with whole_file.replacing(node) as private:
        private.write_bytes(b"more")
        assert private.parent != tmp_path
    assert is_device(node) and list(tmp_path.iterdir()) == [node]


def test_a_pipe_gets_the_data(tmp_path: Path) -> None:
    with read_fifo(tmp_path / "pipe") as found:
        whole_file.write(tmp_path / "pipe", b"data" * 100_000)
    assert found == [b"data" * 100_000] and (tmp_path / "pipe").is_fifo()


def test_nobody_waits_for_a_pipes_reader(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ModelbuildError, match="pipe: cannot be written"):
        whole_file.write(tmp_path / "pipe", b"data")
    assert (tmp_path / "pipe").is_fifo()


def test_sockets_and_what_ends_early_take_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # the name of a socket is short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        with pytest.raises(ModelbuildError) as caught:
            whole_file.write(Path("socket"), b"data")
        assert caught.value.problems[0].why == "a socket lies there, and no file is written into it"
    pipe = tmp_path / "pipe"
    with read_fifo(pipe) as found, pytest.raises(KeyboardInterrupt), whole_file.replacing(pipe) as private:
        private.write_bytes(b"half")
        raise KeyboardInterrupt
    assert found == [b""]


def test_a_name_of_an_open_file_is_written_into(tmp_path: Path) -> None:
    """As /dev/stdout is: a link that other programs need."""
    with (tmp_path / "out").open("ab") as stream:
        stream.write(b"before ")
        stream.flush()
        path = Path(f"/dev/fd/{stream.fileno()}")
        if not path.exists():
            pytest.skip("the system has no such names")
        inode = (tmp_path / "out").stat().st_ino
        whole_file.write(path, b"data")
    assert (tmp_path / "out").read_bytes() == b"before data"
    assert (tmp_path / "out").stat().st_ino == inode
