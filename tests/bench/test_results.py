"""Rows in a file, and digests of files."""

from __future__ import annotations

from pathlib import Path

from bench.digest import digest, files
from bench.results import Results


def test_rows_are_found_again(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    first = Results(path)
    assert first.get("a") is None and not path.exists()
    first.keep("a", {"x": 1})
    first.keep("b", [2])
    first.keep("a", {"x": 3})
    again = Results(path)
    assert again.get("a") == {"x": 3} and again.get("b") == [2] and again.get("c") is None


def test_a_row_that_was_broken_off_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    Results(path).keep("a", 1)
    for rest in ('{"key": "b", "ro', '{"key": "b", "row": 2}'):
        with path.open("a", encoding="utf-8") as file:
            file.write(rest)
        found = Results(path)
        assert found.get("a") == 1 and found.get("b") is None
    found.keep("c", 3)
    assert Results(path).get("c") == 3 and len(path.read_text(encoding="utf-8").splitlines()) == 2


def test_without_a_file_rows_are_known_in_this_run_alone() -> None:
    found = Results(None)
    found.keep("a", 1)
    assert found.get("a") == 1 and Results(None).get("a") is None


def test_a_digest_is_of_content_in_order(tmp_path: Path) -> None:
    for name, text in (("b/two.py", "2"), ("a.py", "1"), ("b/three.pyc", "3")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    found = files([tmp_path / "b", tmp_path / "a.py"])
    assert found == [tmp_path / "b/two.py", tmp_path / "a.py"]
    before = digest(found)
    assert digest(files([tmp_path / "a.py", tmp_path / "b"])) != before
    (tmp_path / "b/three.pyc").write_text("4", encoding="utf-8")
    assert digest(files([tmp_path / "b", tmp_path / "a.py"])) == before
    (tmp_path / "a.py").write_text("5", encoding="utf-8")
    assert digest(files([tmp_path / "b", tmp_path / "a.py"])) != before
