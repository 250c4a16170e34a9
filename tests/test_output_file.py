"""Where files may be written that people name."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from modelbuild.artifacts.output_place import make_folder
from modelbuild.errors import ModelbuildError, Problem
from modelbuild.output_file import check, check_folder, named
from tests.streams import null_device, read_fifo


def refused(path: Path) -> Problem:
    with pytest.raises(ModelbuildError) as caught:
        check(path, "-o")
    assert caught.value.exit_code == 2
    return caught.value.problems[0]


def test_files_and_streams_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "a.nef").write_bytes(b"")
    assert not check(tmp_path / "a.nef") and not check(tmp_path / "new.nef")
    os.mkfifo(tmp_path / "pipe")
    assert check(tmp_path / "pipe")
    assert check(null_device(tmp_path / "null"))


def test_no_fifo_is_opened_to_be_judged(tmp_path: Path) -> None:
    with read_fifo(tmp_path / "pipe") as found:
        assert check(tmp_path / "pipe")
    assert found == [b""]


def test_what_can_be_no_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        assert refused(Path("socket")).what == "socket is a socket"
    assert refused(Path()).what == ". is a folder"
    (tmp_path / "afile").write_text("")
    assert refused(Path("afile/x")).what == "afile is no folder"
    assert refused(Path("none/x")).what == "there is no folder none"
    assert refused(Path("none/x")).advice == "make it, or name another file"


@pytest.mark.parametrize("place", [".modelbuild/x.nef", ".modelbuild/deep/x", "dist/p/x.nef", "reports/p/x"])
def test_folders_of_builds_are_theirs(tmp_path: Path, place: str) -> None:
    path = tmp_path / "project" / place
    path.parent.mkdir(parents=True)
    (tmp_path / "project/.modelbuild").mkdir(exist_ok=True)
    problem = refused(path)
    assert problem.what == f"-o cannot write into {'/'.join(place.split('/')[: 1 if place[0] == '.' else 2])}"
    assert problem.where == str(path)
    (tmp_path / "link").symlink_to(path.parent)
    with pytest.raises(ModelbuildError, match="cannot write into"):
        check_folder(tmp_path / "link/x.nef")


def test_a_folder_in_those_of_builds_goes_by_its_own_name(tmp_path: Path) -> None:
    (tmp_path / ".modelbuild").mkdir()
    with pytest.raises(ModelbuildError) as caught:
        make_folder(tmp_path / "dist/p")
    assert str(caught.value).startswith(f"{tmp_path / 'dist/p'}: -o cannot write into dist/p\n")


def test_folders_of_those_names_may_be_anyones(tmp_path: Path) -> None:
    (tmp_path / "dist/p").mkdir(parents=True)
    assert not check(tmp_path / "dist/p/x.nef")  # no project: nothing would remove it
    (tmp_path / ".modelbuild").mkdir()
    assert not check(tmp_path / "dist/x.nef")


def test_no_name_and_a_dash() -> None:
    assert named("a.nef") == "a.nef" and named("./-") == "./-"
    for text, what in (("", "-o is empty"), (" ", "-o is empty"), ("-", "-o - names no file")):
        with pytest.raises(ModelbuildError, match=what):
            named(text)


def test_standard_output_is_refused_under_its_name(tmp_path: Path) -> None:
    """In a process of its own, whose standard output is a pipe: text would be mixed with the file."""
    code = (
        "import sys; from pathlib import Path; from modelbuild.output_file import check\n"
        "from modelbuild.errors import ModelbuildError\n"
        "try: check(Path(sys.argv[1]))\n"
        "except ModelbuildError as error: print(error.problems[0].what)\n"
        "else: print('taken')"
    )

    def said(path: str) -> str:
        done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    assert said("/dev/stdout") == "-o names standard output"
    assert said("/dev/stderr") == "taken"
    assert said(str(null_device(tmp_path / "null"))) == "taken"
