"""Files that people asked for: whole or as they were."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelbuild import whole_file
from modelbuild.errors import ModelbuildError


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
        with pytest.raises(ModelbuildError, match=f"cannot write {path.name}"):
            whole_file.write(path, b"data")
    assert [path.name for path in tmp_path.iterdir()] == ["out.txt"]
