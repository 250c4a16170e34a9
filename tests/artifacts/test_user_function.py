"""Which files a function of the user's is made of, found without running it."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelbuild.artifacts.user_function import files_of

FILES = {
    "tools/score.py": "import json\nfrom parts import helper\nfrom .sibling import x\nimport common.deep.one",
    "tools/parts/__init__.py": "",
    "tools/parts/helper.py": "from parts.more import *\ndef f():\n    import late\n",
    "tools/parts/more.py": "import numpy, json\n",
    "tools/sibling.py": "import score\n",
    "tools/late.py": "this is no Python (\n",
    "tools/unused.py": "",
    "json.py": "import unheard",
    "common/__init__.py": "from . import first",
    "common/first.py": "",
    "common/deep/__init__.py": "",
    "common/deep/one.py": "from ..first import y\n",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def test_imports_are_followed_in_the_project(root: Path) -> None:
    assert files_of("tools/score.py:f", root) == tuple(sorted(FILES.keys() - {"tools/unused.py"}))


def test_of_a_package_what_is_run_before_it(root: Path) -> None:
    found = files_of("common/deep/one.py:f", root)
    assert found == ("common/__init__.py", "common/deep/__init__.py", "common/deep/one.py", "common/first.py")


def test_a_file_that_is_not_there_or_above_the_project(root: Path) -> None:
    assert files_of("tools/none.py:f", root) == ("tools/none.py",)
    assert "../tools/late.py" in files_of("../tools/late.py:f", root / "common")
