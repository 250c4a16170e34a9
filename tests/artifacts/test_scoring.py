"""Users' measures of accuracy: what they may return, what they may import, and how long they may take."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelbuild.artifacts.function_process import importable
from modelbuild.artifacts.postprocess import Postprocess
from modelbuild.artifacts.scoring import Scoring
from modelbuild.errors import ModelbuildError

Score = Callable[..., float]
CODE = """\
import importlib
import time
import numpy as np

RESULTS = {
    "array": np.array(0.5), "np32": np.float32(0.5), "whole": np.int64(2), "of_0d_int": np.array(3),
    "huge": 10**400, "long": 10**4000, "infinite": np.inf, "vector": np.array([0.5]), "flag": True,
    "text_0d": np.array("0.5"), "none": None, "complex": 1 + 0j,
}

def f(outputs, labels):
    return RESULTS[labels[0]]

def found(outputs, labels):
    return float(importlib.import_module(labels[0]).VALUE)

def never(outputs, labels):
    while True:
        pass

def sleeps(outputs, labels):
    time.sleep(1000)

def deep(outputs):
    made = []
    for _ in range(600):
        made = [made]
    return made
"""


@pytest.fixture
def score(tmp_path: Path) -> Score:
    """The value of a function of tools/s.py; `**more` is for the process."""
    for name, text in {"tools/s.py": CODE, "tools/beside.py": "VALUE = 1"}.items():
        (tmp_path / "copy" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "copy" / name).write_text(text, encoding="utf-8")

    def value(function: str, label: str = "", **more: Any) -> float:
        with Scoring(f"tools/s.py:{function}", tmp_path / "copy", **more) as scoring:
            return scoring({}, {}, [label])

    return value


@pytest.mark.parametrize(("key", "value"), [("array", 0.5), ("np32", 0.5), ("whole", 2), ("of_0d_int", 3)])
def test_numbers_of_numpy_are_numbers(score: Score, key: str, value: float) -> None:
    assert score("f", key) == value


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        ("huge", "1" + 59 * "0" + "..."),
        ("long", "1" + 59 * "0" + "..."),
        ("infinite", "inf"),
        ("vector", "a ndarray"),
        ("flag", "True"),
        ("text_0d", "a str"),
        ("none", "a NoneType"),
    ],
)
def test_what_is_no_measure(score: Score, key: str, shown: str) -> None:
    with pytest.raises(ModelbuildError) as caught:
        score("f", key)
    assert f"function tools/s.py:f returned {shown}\n" in str(caught.value) and caught.value.exit_code == 2
    (problem,) = caught.value.problems
    assert problem.advice.startswith("return a finite number" if shown == "inf" else "return a float")


def test_what_is_nested_too_deep_is_told(tmp_path: Path, score: Score) -> None:
    with Postprocess("tools/s.py:deep", tmp_path / "copy") as post, pytest.raises(ModelbuildError) as caught:
        post({}, {})
    assert "more than 100 lists and mappings in each other" in str(caught.value)


@pytest.mark.parametrize("function", ["never", "sleeps"])
def test_a_function_that_never_ends_is_ended(score: Score, function: str) -> None:
    with pytest.raises(ModelbuildError) as caught:
        score(function, timeout_seconds=0.5)
    assert f"function tools/s.py:{function} has not come back after 0.5 seconds" in str(caught.value)
    assert "`verify: {timeout_seconds: SECONDS}`" in str(caught.value)
    assert caught.value.passing  # a loaded machine may be why: no build remembers it


def test_files_of_the_project_are_not_there_whatever_the_path_says(
    tmp_path: Path, score: Score, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "project"
    installed = project / ".venv/lib/python3/site-packages"
    for folder, name in ((project / "tools", "secret"), (project, "top"), (installed, "bought")):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.py").write_text("VALUE = 4", encoding="utf-8")
    for entry in (project, project / "tools", installed):
        monkeypatch.syspath_prepend(entry)
    assert score("found", "top") == score("found", "secret") == 4.0  # without `hidden`: the test is one
    for name in ("top", "secret", "tools.secret"):
        with pytest.raises(ModelbuildError, match="ModuleNotFoundError"):
            score("found", name, hidden=project)
    assert score("found", "bought", hidden=project) == 4.0
    assert score("found", "tools.beside", hidden=project) == 1.0


def test_what_is_above_or_beside_the_project_stays(tmp_path: Path) -> None:
    entries = [str(tmp_path), str(tmp_path / "p"), str(tmp_path / "p/src"), str(tmp_path / "p2"), "/usr/lib"]
    assert importable(entries, tmp_path / "p") == [str(tmp_path), str(tmp_path / "p2"), "/usr/lib"]
    assert importable(entries, None) == entries


@pytest.mark.parametrize(
    ("function", "label", "what"),
    [
        ("f", "none", "returned a NoneType"),
        ("f", "infinite", "returned inf"),
        ("deep", "", "TypeError: deep()"),
    ],
)
def test_what_no_line_of_the_users_is_wrong_for_names_the_bound(
    score: Score, function: str, label: str, what: str
) -> None:
    with pytest.raises(ModelbuildError) as caught:
        score(function, label)
    (problem,) = caught.value.problems
    assert what in problem.what and problem.where == f"accept.function.tools/s.py:{function}"
    assert ("`def NAME(outputs, labels)`" in problem.advice) is ("TypeError" in what)
