"""`modelbuild.api`: what it has, from where, and that asking for it loads no more than is used."""

from __future__ import annotations

import inspect
import pydoc
import subprocess
import sys

import pytest

from modelbuild import api
from modelbuild.project import building, checking, locking
from tests.e2e.command import REPOSITORY


@pytest.mark.parametrize("name", api.__all__)
def test_all_that_it_promises_is_there_and_documented(name: str) -> None:
    found = getattr(api, name)
    assert inspect.getdoc(found) and name in dir(api)


def test_what_other_modules_have_is_the_same_here() -> None:
    assert api.build is building.build and api.clean is building.clean
    assert api.check is checking.check and api.check_lock is locking.check
    assert "MODEL@TARGET" in pydoc.render_doc(api.build)


def test_what_it_has_not() -> None:
    with pytest.raises(AttributeError, match=r"module 'modelbuild\.api' has no attribute 'biuld'"):
        api.biuld  # noqa: B018
    with pytest.raises(ImportError, match="biuld"):
        from modelbuild.api import biuld  # noqa: F401


def test_what_is_not_used_is_not_loaded() -> None:
    program = (
        "import sys; from modelbuild import api; from modelbuild.api import build\n"
        "print(sorted({'onnx', 'onnxruntime', 'modelbuild.project.locking'} & sys.modules.keys()))\n"
        "from modelbuild.api import lock; print('modelbuild.project.locking' in sys.modules)"
    )
    words = [sys.executable, "-c", program]
    done = subprocess.run(words, cwd=REPOSITORY, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines() == ["[]", "True"]
