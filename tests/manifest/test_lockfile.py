"""modelbuild.lock as text: it reads back, and what is damaged is told with its place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelbuild.errors import ModelbuildError
from modelbuild.manifest import lockfile
from modelbuild.manifest.lockfile import Lock, LockedModel, LockedPackage, LockedSamples

DIGEST = "0123456789abcdef" * 4
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))


def entry(**changes: Any) -> LockedModel:
    values: dict[str, Any] = {
        "recipe": DIGEST,
        "records": {"modelbuild.locked/m@t/quant.txt": DIGEST},
        "samples": {"some": LockedSamples(count=2, sha256=DIGEST, labels={"l.txt": DIGEST})},
        "settings": {"quantize.range.method": "mse", "edit": []},
        "sources": {"m.onnx": DIGEST},
        "toolchain": "builtin/1",
    }
    return LockedModel(**{**values, **changes})


def lock(**changes: Any) -> Lock:
    values: dict[str, Any] = {
        "manifest": "models.yaml",
        "modelbuild": "1.0",
        "libraries": {"numpy": "2.0"},
        "models": {"m@t": entry()},
        "packages": {"p": LockedPackage(files={"m.nef": DIGEST}, settings={"m.id": 32768})},
    }
    return Lock(**{**values, **changes})


@given(st.dictionaries(TEXT, JSON, max_size=5), TEXT)
def test_whatever_settings_it_reads_back_and_has_one_form(settings: dict[str, Any], toolchain: str) -> None:
    made = lock(models={"m@t": entry(settings=settings, toolchain=toolchain)})
    text = lockfile.encode(made)
    assert lockfile.decode(text) == made
    assert lockfile.encode(lockfile.decode(text)) == text
    assert json.loads(text)["models"]["m@t"]["settings"] == settings


def test_a_change_of_one_item_is_a_change_of_one_line() -> None:
    before = lockfile.encode(lock()).splitlines()
    after = lockfile.encode(lock(models={"m@t": entry(sources={"m.onnx": "f" * 64})})).splitlines()
    differing = [pair for pair in zip(before, after, strict=True) if pair[0] != pair[1]]
    assert differing == [(f'        "m.onnx": "{DIGEST}"', f'        "m.onnx": "{"f" * 64}"')]


def test_items_are_sorted_whatever_order_they_were_given_in() -> None:
    one = lock(models={"a@t": entry(), "b@t": entry()})
    other = lock(models={"b@t": entry(), "a@t": entry()})
    assert lockfile.encode(one) == lockfile.encode(other)


def test_lists_of_mappings_have_an_item_a_line() -> None:
    text = lockfile.one_item_a_line({"b": [{"x": 1, "a": [2]}, {"x": 2}], "a": [1, 2], "c": {}})
    expected = '{\n  "a": [1, 2],\n  "b": [\n    {"a": [2], "x": 1},\n    {"x": 2}\n  ],\n  "c": {}\n}\n'
    assert text == expected


def test_a_lock_of_the_future_is_told_from_a_damaged_one() -> None:
    text = lockfile.encode(lock()).replace('"schema": 1', '"schema": 2')
    with pytest.raises(ModelbuildError, match=r"schema 2 of modelbuild\.lock is newer") as caught:
        lockfile.decode(text)
    assert caught.value.exit_code == 2
    assert "modelbuild lock" in caught.value.problems[0].advice


@pytest.mark.parametrize(
    ("change", "where", "why"),
    [
        (lambda text: text[: len(text) // 2], "modelbuild.lock:", ""),
        (lambda text: text.replace('"schema": 1', '"schema": 0'), "modelbuild.lock", "schema"),
        (lambda text: text.replace('"schema": 1', '"schema": true'), "modelbuild.lock", "schema"),
        (lambda text: text.replace('"toolchain"', '"toolkit"'), "modelbuild.lock", "models.m@t.toolchain"),
        (lambda text: text.replace(DIGEST, DIGEST[:-1]), "modelbuild.lock", "models.m@t"),
        (lambda text: text.replace('"count": 2', '"count": "2"'), "modelbuild.lock", "count"),
        (
            lambda text: text.replace('"edit": [],', '"edit": [], "edit": 1,'),
            "modelbuild.lock",
            "`edit` stands",
        ),
        (lambda text: "[]", "modelbuild.lock", ""),
        (lambda text: "[" * 100_000, "modelbuild.lock", ""),
        (lambda text: "", "modelbuild.lock:1:1", ""),
    ],
)
def test_damage_is_told_with_its_place(change: Any, where: str, why: str) -> None:
    with pytest.raises(ModelbuildError, match=r"modelbuild\.lock cannot be read") as caught:
        lockfile.decode(change(lockfile.encode(lock())))
    (problem,) = caught.value.problems
    assert caught.value.exit_code == 2
    assert problem.where.startswith(where) and why in problem.why and "modelbuild lock" in problem.advice


def test_a_merge_that_is_not_finished_is_told_by_its_first_mark() -> None:
    lines = lockfile.encode(lock()).splitlines()
    lines[2:2] = ["<<<<<<< ours", "=======", '  "manifest": "a.yaml",', ">>>>>>> theirs"]
    with pytest.raises(ModelbuildError, match="the marks of a merge conflict") as caught:
        lockfile.decode("\n".join(lines))
    (problem,) = caught.value.problems
    assert caught.value.exit_code == 2
    assert problem.where == "modelbuild.lock:3" and "modelbuild lock" in problem.advice


def test_line_ends_that_git_changed_are_those_that_were_written(tmp_path: Path) -> None:
    text = lockfile.encode(lock())
    (tmp_path / lockfile.LOCK).write_bytes(text.encode().replace(b"\n", b"\r\n"))
    assert lockfile.read_text(tmp_path) == text and lockfile.read(tmp_path) == lock()


def test_text_is_digested_with_the_line_ends_of_the_repository_and_all_else_as_it_is(tmp_path: Path) -> None:
    for name in ("a.txt", "a.onnx"):
        (tmp_path / name).write_bytes(b"1\n2\n")
        (tmp_path / f"crlf-{name}").write_bytes(b"1\r\n2\r\n")
    digests = {path.name: lockfile.digest_of(path) for path in tmp_path.iterdir()}
    assert digests["a.txt"] == digests["crlf-a.txt"] == digests["a.onnx"] != digests["crlf-a.onnx"]


def test_no_lock_and_one_that_cannot_be_read(tmp_path: Path) -> None:
    assert lockfile.read_text(tmp_path) is None
    with pytest.raises(ModelbuildError, match=r"there is no modelbuild\.lock"):
        lockfile.read(tmp_path)
    (tmp_path / lockfile.LOCK).write_bytes(b"\xff\xfe")
    with pytest.raises(ModelbuildError, match="cannot be read"):
        lockfile.read(tmp_path)
    (tmp_path / lockfile.LOCK).unlink()
    (tmp_path / lockfile.LOCK).mkdir()
    with pytest.raises(ModelbuildError, match="cannot be read"):
        lockfile.read(tmp_path)


def test_a_folder_has_one_lock() -> None:
    assert lockfile.other_manifest(lock(), "models.yaml") is None
    problem = lockfile.other_manifest(lock(), "other.yaml")
    assert problem is not None and "written for models.yaml" in problem.what
