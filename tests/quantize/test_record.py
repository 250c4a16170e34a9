"""The record's text: exact, diffable, and read strictly."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelbuild.errors import ModelbuildError
from modelbuild.quantize import record as records
from modelbuild.quantize.record import Record, TensorRecord

FORMAT = "activations=int8 weights=int8 symmetric=no scale=free per_channel=yes"
LINE = TensorRecord("x", "input", 8, True, 0.1, -3, -12.5, 13.0, "mse", 40.5, 31.2)
WEIGHT = TensorRecord("w", "weight", 8, True, None, 0, -0.5, 0.25, "minmax", 44.0)
RECORD = Record("net", "multiplier_shift@1", FORMAT, "mse", 64, (LINE, WEIGHT), {"bias": {"y": (1, -2)}})

NAMES = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=20)
REALS = st.floats(allow_nan=False, allow_infinity=False)


@settings(max_examples=200)
@given(
    names=st.lists(NAMES, min_size=1, max_size=4, unique=True),
    scale=st.floats(1e-300, 1e300),
    low=REALS,
    high=REALS,
    zero=st.integers(-128, 127),
    bias=st.lists(st.integers(-(2**40), 2**40), max_size=4),
)
def test_text_reads_back_as_it_was(names, scale, low, high, zero, bias) -> None:
    lines = tuple(
        replace(LINE, name=name, scale=scale, zero_point=zero, low=low, high=high) for name in names
    )
    record = replace(
        RECORD, model=names[0], tensors=lines, corrections={"bias": {name: tuple(bias) for name in names}}
    )
    assert records.from_text(records.to_text(record)) == record


def test_the_text_is_stable() -> None:
    text = records.to_text(RECORD)
    assert text.splitlines()[:6] == [
        "# modelbuild quantization record 2",
        "model: net",
        "arithmetic: multiplier_shift@1",
        f"format: {FORMAT}",
        "method: mse",
        "samples: 64",
    ]
    rows = text.splitlines()[8:]
    assert rows[0].split() == ["input", "int8", "0.1", "-3", "3", "-12.5", "13.0", "mse", "40.5", "31.2", "x"]
    assert rows[1].split() == ["weight", "int8", "-", "0", "-", "-0.5", "0.25", "minmax", "44.0", "-", "w"]
    assert rows[2] == "correct bias y 1 -2"


def test_a_changed_tensor_changes_one_line() -> None:
    other = replace(RECORD, tensors=(replace(LINE, scale=0.123456789012345678, zero_point=-100), WEIGHT))
    before, after = (records.to_text(record).splitlines() for record in (RECORD, other))
    assert sum(a != b for a, b in zip(before, after, strict=True)) == 1


GOOD = records.to_text(RECORD)


@pytest.mark.parametrize(
    ("old", "new", "line", "text"),
    [
        ("record 2", "record 1", 1, "first line"),
        ("samples: 64", "samples: many", 6, "not a whole number"),
        ("samples: 64", "samples: 64\nsamples: 64", 7, "twice"),
        ("method: mse\n", "", 11, "lacks method"),
        ("scale=free ", "", 4, "format"),
        ("input ", "inpot ", 9, "'inpot' is not one of"),
        ("int8   0.1", "int9   0.1", 9, "'int9' is not a type"),
        ("0.1 ", "-0.1 ", 9, "not above 0"),
        ("0.1 ", "nan ", 9, "not a finite number"),
        ("0.1 ", "1e999 ", 9, "not a finite number"),
        ("0.1 ", "- ", 9, "needed"),
        (" -3 ", " -129 ", 9, "outside -128...127"),
        ("40.5 ", "", 9, "has 11 columns"),
        ("correct bias", "correct weight", 11, "not a kind of correction"),
        ("y 1 -2", "y 1 x", 11, "'x' is not a whole number"),
        ("y 1 -2", "y 1 -2\ncorrect bias y 3", 12, "twice"),
        (" w\n", " x\n", 10, "'x' stands twice"),
    ],
)
def test_errors_name_the_line(old: str, new: str, line: int, text: str) -> None:
    assert old in GOOD
    with pytest.raises(ModelbuildError, match="cannot be read") as caught:
        records.from_text(GOOD.replace(old, new, 1), "quant.txt")
    (problem,) = caught.value.problems
    assert problem.where == f"quant.txt:{line}" and text in problem.why


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    for content in (text, GOOD + text, "# modelbuild quantization record 2\n" + text):
        try:
            records.from_text(content)
        except ModelbuildError as error:
            assert error.exit_code == 2


def test_files(tmp_path: Path) -> None:
    records.write(RECORD, tmp_path / "q.txt")
    assert records.read(tmp_path / "q.txt") == RECORD
    (tmp_path / "b.txt").write_bytes(b"\xff\xfe\x00")
    for name in ("b.txt", "missing.txt"):
        with pytest.raises(ModelbuildError):
            records.read(tmp_path / name)


def test_json_form() -> None:
    found = RECORD.to_json()
    assert (found["method"], found["activations"], found["weights"], found["samples"]) == (
        "mse",
        "int8",
        "int8",
        64,
    )
    first = found["tensors"][0]
    assert (first["name"], first["scale"], first["zero_point"], first["radix"]) == ("x", 0.1, -3, 3)
