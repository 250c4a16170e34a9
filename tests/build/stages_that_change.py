"""Stage functions that do to their own inputs what others may do while an action runs."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from stages_for_tests import fail_if_bad, join, named_files

Inputs = Mapping[str, Path]
Parameters = Mapping[str, Any]


def touch(path: Path) -> None:
    os.utime(path)


def link(path: Path) -> None:
    spare = path.with_name("spare")
    spare.unlink(missing_ok=True)
    spare.hardlink_to(path)


def replace(path: Path) -> None:
    copy = path.with_name("copy")
    copy.write_bytes(path.read_bytes())
    copy.replace(path)


def read(path: Path) -> None:
    os.utime(path.parent)
    path.read_bytes()


HARMLESS: dict[str, Callable[[Path], None]] = {"touch": touch, "link": link, "replace": replace, "read": read}


def _times(parameters: Parameters) -> bool:
    """Whether it is to be done once more: the parameter `tally` names a file with a line for each time."""
    tally = Path(parameters["tally"])
    done = tally.read_text() if tally.exists() else ""
    tally.write_text(done + "x")
    return len(done) < parameters["times"]


def there_and_back(inputs: Inputs, parameters: Parameters, out: Path) -> None:
    """Its input holds other bytes while it is read, and the first ones again afterwards."""
    file = inputs[parameters["role"]]
    before = file.read_text()
    if _times(parameters):
        file.write_text("two")
    join(inputs, parameters, out)
    if file.read_text() != before:
        file.write_text(before)


def leave_bytes(inputs: Inputs, parameters: Parameters, out: Path) -> None:
    """Does to its input what leaves the bytes as they are."""
    join(inputs, parameters, out)
    if _times(parameters):
        HARMLESS[parameters["how"]](inputs["x"])


def touch_and_fail(inputs: Inputs, parameters: Parameters, out: Path) -> None:
    """Fails, if its input is BAD, after that was touched."""
    if _times(parameters):
        touch(inputs["x"])
    fail_if_bad(inputs, parameters, out)


def find_there_and_back(inputs: Inputs, parameters: Parameters) -> list[str]:
    """Discovery: as `named_files`, while `file` beside the input names `other.txt` for a moment."""
    file = inputs["x"].with_name(parameters["file"])
    before = file.read_text()
    if _times(parameters):
        file.write_text("use other.txt\n")
    found = named_files(inputs, parameters)
    if file.read_text() != before:
        file.write_text(before)
    return found
