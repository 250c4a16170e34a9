"""A quantization record that was edited by hand, through the real command to the package."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.command import Done, called

PACKAGE = "digits-kl720"


@pytest.fixture
def record(built: Path) -> Path:
    """The record of an earlier build, which the manifest names."""
    shutil.copy(built / f"dist/{PACKAGE}/digits.quant.txt", built / "mine.quant.txt")
    manifest = built / "models.yaml"
    text = manifest.read_text(encoding="utf-8")
    changed = text.replace("kl720: {chip: kl720,", "kl720: {chip: kl720, quantize: {record: mine.quant.txt},")
    assert changed != text
    manifest.write_text(changed, encoding="utf-8")
    return built / "mine.quant.txt"


def build(record: Path) -> Done:
    return called(record.parent, "build", PACKAGE, "--json")


def line_of(record: Path, name: str) -> list[str]:
    """The words of a tensor's line."""
    lines = record.read_text(encoding="utf-8").splitlines()
    return next(line.split() for line in lines if line.endswith(f" {name}"))


def edit(record: Path, old: str, new: str) -> int:
    """Replaces it once; the number of the line."""
    text = record.read_text(encoding="utf-8")
    assert old in text
    record.write_text(text.replace(old, new, 1), encoding="utf-8", newline="\n")
    return text[: text.index(old)].count("\n") + 1


def told(record: Path) -> dict[str, Any]:
    """quantize.json of the build."""
    for path in (record.parent / ".modelbuild").rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        if content.startswith(b"{") and b'"edited":true' in content.replace(b" ", b""):
            return dict(json.loads(content))
    return {}


def test_an_edit_is_built_into_the_package_and_marked(record: Path) -> None:
    before = (record.parent / f"dist/{PACKAGE}/models_720.sim.nef").read_bytes()
    scale = line_of(record, "clip_3_out")[2]
    edit(record, scale, "0.03125")
    first = re.search("correct bias gemm_1_out (-?[0-9]+) ", record.read_text(encoding="utf-8"))
    assert first is not None
    edit(record, first[0], "correct bias gemm_1_out 1234 ")
    done = build(record)
    assert done.code == 0, done.err
    shipped = record.parent / f"dist/{PACKAGE}/digits.quant.txt"
    assert line_of(shipped, "clip_3_out")[2:10] == [
        "0.03125",
        "0",
        "5",
        "-4.0",
        "3.96875",
        "edited",
        "-",
        "-",
    ]
    (bias,) = (line for line in shipped.read_text(encoding="utf-8").splitlines() if "bias gemm_1_out" in line)
    assert bias.endswith(" #edited") and bias.split()[3] == "1234"
    assert (record.parent / f"dist/{PACKAGE}/models_720.sim.nef").read_bytes() != before
    found = told(record)
    assert found["edited"] is True
    assert [line["name"] for line in found["tensors"] if line["edited"]] == ["clip_3_out"]
    shutil.copy(shipped, record)  # what was shipped builds the same, marks included
    again = shipped.read_bytes()
    assert build(record).code == 0 and shipped.read_bytes() == again


@pytest.mark.parametrize(
    ("name", "column", "new", "what"),
    [
        ("clip_3_out", 2, "0.03", "cannot express"),
        ("clip_3_out", 3, "7", "a zero point, which this chip does not have"),
        ("clip_3_out", 4, "9", "`radix` was edited, which follows from scale and zero"),
    ],
)
def test_an_edit_that_cannot_be_used_is_told_with_file_and_line(
    record: Path, name: str, column: int, new: str, what: str
) -> None:
    words = line_of(record, name)
    text = record.read_text(encoding="utf-8")
    line = next(line for line in text.splitlines() if line.endswith(f" {name}"))
    number = edit(record, line, " ".join([*words[:column], new, *words[column + 1 :]]))
    done = build(record)
    assert done.code == 2
    assert f"mine.quant.txt:{number}: " in done.out + done.err and what in done.out + done.err


def test_a_record_that_was_cut_off_is_refused(record: Path) -> None:
    text = record.read_text(encoding="utf-8")
    record.write_text(text[: text.index("correct ")], encoding="utf-8", newline="\n")
    done = build(record)
    assert done.code == 2 and "the file was cut off" in done.out + done.err


def test_a_missing_line_is_named_with_the_file(record: Path) -> None:
    lines = record.read_text(encoding="utf-8").splitlines(keepends=True)
    weight = next(line for line in lines if line.startswith("weight"))
    edit(record, weight, "")
    done = build(record)
    assert done.code == 2
    assert f"has no line for the weights '{weight.split()[-1]}'" in done.out + done.err
    assert "mine.quant.txt" in done.out + done.err
