"""A file or a disk that refuses where no room foresaw it is told as that, and is no bug."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from modelbuild.cli import chips
from modelbuild.cli.main import main


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.ENOSPC, errno.ENOENT])
def test_an_error_of_the_system_names_its_file_and_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], number: int
) -> None:
    path = tmp_path / "table.bin"

    def refuse(options: object) -> int:
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(chips, "run", refuse)
    assert main(["chips", "--json"]) == 1
    told = capsys.readouterr()
    assert f"cannot use {path}" in told.err and os.strerror(number) in told.err and "  do:  " in told.err
    assert "internal error" not in told.err and "Traceback" not in told.err
    assert json.loads(told.out)["ok"] is False
