"""Programs as files."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelbuild.errors import ModelbuildError
from modelbuild.npu.files import read_program, write_program


def test_three_files_there_and_back(tmp_path: Path) -> None:
    paths = write_program(tmp_path, b"command", b"weights", b"")
    assert [path.name for path in paths] == ["command.bin", "weights.bin", "host.bin"]
    assert read_program(tmp_path) == (b"command", b"weights", b"")


def test_a_missing_section(tmp_path: Path) -> None:
    with pytest.raises(ModelbuildError, match=r"command\.bin"):
        read_program(tmp_path)
