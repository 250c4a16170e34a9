"""What the user reads when a model is refused."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from modelbuild import importers
from modelbuild.errors import ModelbuildError


def message(path: Path, **arguments: Any) -> str:
    """The error of `importers.load`, which must be the user's (exit code 2), in one line."""
    with pytest.raises(ModelbuildError) as caught:
        importers.load(path, **arguments)
    assert caught.value.exit_code == 2
    return " ".join(str(caught.value).split())


def matches(pattern: str, text: str) -> bool:
    """Whether the pattern stands anywhere in the text."""
    return re.search(pattern, text) is not None
