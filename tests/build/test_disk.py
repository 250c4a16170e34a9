"""The few operations that everything the builder keeps goes through."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from faults import CRASHED, Fault, Injector

from modelbuild.build import disk
from modelbuild.build.appending import append
from modelbuild.errors import ModelbuildError

DATA = b"0123456789" * 10


def under(fault: Fault, call: Callable[[], object]) -> int:
    """The exit status of a process that does it; an operation of its own comes last."""
    child = os.fork()
    if child == 0:
        Injector(fault).install()
        try:
            call()
            Path(fault.below).stat()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_what_was_written_outlives_a_loss_of_power(tmp_path: Path) -> None:
    """After whichever operation the power goes: the old bytes or the new, and in the end the new."""
    path = tmp_path / "file"
    for at in range(1, 100):
        path.write_bytes(b"old")
        status = under(Fault(str(tmp_path), at, "power"), lambda: disk.write(path, DATA, tmp_path / "work"))
        assert path.read_bytes() in (b"old", DATA), at
        if status != CRASHED:
            break
    assert at > 5 and path.read_bytes() == DATA


def test_a_write_that_is_refused_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path, scratch = tmp_path / "file", tmp_path / "work"
    for at in range(1, 10):
        path.write_bytes(b"old")
        under(Fault(str(tmp_path), at, "ENOSPC"), lambda: disk.write(path, DATA, scratch))
        assert path.read_bytes() in (b"old", DATA)
        assert not scratch.exists() or list(scratch.iterdir()) == []


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOSPC, "free space"),
        (errno.EROFS, "make the file system writable"),
        (errno.EACCES, "give yourself the right"),
        (errno.EIO, "see the system's log"),
        (errno.ENOTDIR, "something else lies in its place"),
        (errno.ESTALE, "see that the disk is there"),
    ],
)
def test_a_refusal_names_the_file_the_disk_and_what_to_do(tmp_path: Path, number: int, advice: str) -> None:
    error = disk.failure("write", tmp_path / "no" / "file", OSError(number, os.strerror(number)))
    assert error.exit_code == 1
    problem = error.problems[0]
    assert problem.what == f"cannot write {tmp_path}/no/file"
    assert advice in problem.advice and "build again" not in problem.advice
    if number in (errno.EACCES, errno.ENOTDIR):  # whatever disk that is
        assert problem.why == os.strerror(number)
        return
    mounted = problem.why.removeprefix(f"{os.strerror(number)} (the disk mounted at ").removesuffix(")")
    assert os.path.ismount(mounted) and os.path.realpath(tmp_path).startswith(mounted)


def test_an_error_that_nobody_expected_is_told_with_its_file(tmp_path: Path) -> None:
    with pytest.raises(ModelbuildError, match=r"cannot use .*/gone"), disk.told(tmp_path):
        (tmp_path / "gone").read_bytes()
    with pytest.raises(ModelbuildError, match=f"cannot use {tmp_path}\n"), disk.told(tmp_path):
        raise OSError(errno.EIO, "Input/output error")
    with pytest.raises(BrokenPipeError), disk.told(tmp_path):
        raise BrokenPipeError


def test_two_folders_change_places(tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    if not disk.exchange(tmp_path / "one", tmp_path / "other"):
        pytest.skip("this system cannot exchange two names")
    assert (tmp_path / "one" / "other").exists() and (tmp_path / "other" / "one").exists()
    with pytest.raises(FileNotFoundError):
        disk.exchange(tmp_path / "one", tmp_path / "no")


def make_socket(path: Path) -> None:
    before = Path.cwd()
    os.chdir(path.parent)  # such names are short
    try:
        socket.socket(socket.AF_UNIX).bind(path.name)
    finally:
        os.chdir(before)


ODD: dict[str, Callable[[Path], object]] = {
    "folder": lambda path: (path.mkdir(), (path / "inside").touch()),
    "fifo": os.mkfifo,
    "socket": make_socket,
    "ring of links": lambda path: path.symlink_to(path.name),
    "link to nothing": lambda path: path.symlink_to("nowhere"),
}


@pytest.mark.parametrize("kind", ODD)
def test_what_is_no_file_is_read_as_damaged_and_replaced(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "state"
    ODD[kind](path)
    assert not disk.read(path)
    disk.write(path, DATA, tmp_path / "work")
    assert disk.read(path) == DATA


@pytest.mark.parametrize("kind", ODD)
def test_what_is_no_file_is_set_aside_before_a_line_is_added(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "history"
    for _ in range(2):  # the second finds something where the first was put
        path.unlink(missing_ok=True)
        ODD[kind](path)
        append(path, b"line\n")
        assert disk.read(path) == b"line\n"
        assert os.path.lexists(tmp_path / "history.bad")


def test_a_file_in_the_place_of_a_folder_is_set_aside(tmp_path: Path) -> None:
    (tmp_path / "records").write_text("in the way")
    disk.write(tmp_path / "records" / "ab" / "cd", DATA, tmp_path / "work")
    assert (tmp_path / "records" / "ab" / "cd").read_bytes() == DATA
    assert (tmp_path / "records.bad").read_text() == "in the way"


def test_a_link_is_no_folder_of_ours(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder")
    (tmp_path / "file").touch()
    found = {name: disk.is_folder(tmp_path / name) for name in ("folder", "link", "file", "no", "file/no")}
    assert found == {"folder": True, "link": False, "file": False, "no": False, "file/no": False}
    disk.remove(tmp_path / "link")
    assert (tmp_path / "folder").is_dir()
