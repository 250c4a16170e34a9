"""The simulator knows the format and itself, nothing of the compiler that it checks."""

from __future__ import annotations

from pathlib import Path

import modelbuild.kpu.simulator
from tests.test_floors import facts

MAY = ("modelbuild.errors", "modelbuild.formats.kmodel", "modelbuild.kpu.simulator")


def test_imports() -> None:
    folder = Path(modelbuild.kpu.simulator.__file__).parent
    sources = sorted(folder.rglob("*.py"))
    assert len(sources) > 20
    for path in sources:
        for name in facts(path).imports:
            assert name == "modelbuild.formats" or name.startswith(MAY), f"{path.name} imports {name}"
