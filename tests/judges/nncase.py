"""The vendor's nncase 1.9 as a judge of tests.

Where its environment cannot be made, a test that needs it is skipped and says why, or fails if
MODELBUILD_JUDGES is `required`, as in CI.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import ParamSpec, TypeVar

import pytest

from bench.judges import nncase
from bench.judges.nncase import Judged, JudgeError

__all__ = ["JudgeError", "Judged", "compile_onnx", "judge", "run_kmodel", "run_sets"]

REQUIRED = os.environ.get("MODELBUILD_JUDGES") == "required"
_P = ParamSpec("_P")
_R = TypeVar("_R")


def judge() -> Path:
    """The interpreter that has the judge; skips the test where there is none."""
    try:
        return nncase.judge()
    except nncase.Unavailable as error:
        if REQUIRED:
            pytest.fail(f"the judge is required here: {error}")
        pytest.skip(str(error))


def _judged(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """The function, behind a look whether there is a judge."""

    @wraps(function)
    def inner(*words: _P.args, **options: _P.kwargs) -> _R:
        judge()
        return function(*words, **options)

    return inner


run_kmodel = _judged(nncase.run_kmodel)
run_sets = _judged(nncase.run_sets)
compile_onnx = _judged(nncase.compile_onnx)
