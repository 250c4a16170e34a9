"""A stage under which a blob is spoilt while it reads it, as long as the file TEST_SPOIL is there."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stages_for_tests import join

from modelbuild.errors import ModelbuildError


def read(inputs: Mapping[str, Path], parameters: Mapping[str, Any], out: Path) -> None:
    """Joins what it finds; what it does not find is a verdict on its input, or so it says."""
    how = Path(os.environ["TEST_SPOIL"])
    if how.exists():
        blob = inputs["made"]
        if how.read_text() == "remove":
            blob.unlink()
        else:
            blob.chmod(0o644)
            blob.write_text("spoilt")
    try:
        join(inputs, parameters, out)
    except OSError as error:
        raise ModelbuildError("this is not a readable model") from error
