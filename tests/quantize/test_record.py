"""The record's text: exact, diffable, and read strictly."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelbuild.errors import ModelbuildError
from modelbuild.quantize import record as records
from modelbuild.quantize.record import Record, TensorRecord
from tests.hypotheses import examples

FORMAT = "activations=int8 weights=int8 symmetric=no scale=free per_channel=yes"
LINE = TensorRecord("x", "input", 8, True, 0.1, -3, -12.5, 13.0, "mse", 40.5, 31.2)
WEIGHT = TensorRecord("w", "weight", 8, True, None, 0, -0.5, 0.25, "minmax", 44.0)
RECORD = Record("net", "multiplier_shift@1", FORMAT, "mse", 64, (LINE, WEIGHT), {"bias": {"y": (1, -2)}})

NAMES = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=20)
REALS = st.floats(allow_nan=False, allow_infinity=False)


@examples(200)
@given(
    names=st.lists(NAMES, min_size=1, max_size=4, unique=True),
    scale=st.floats(2.0**-200, 2.0**127),
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
    assert [line.partition(" #")[0] for line in text.splitlines()[:6]] == [
        "# modelbuild quantization record 5".partition(" #")[0],
        "model: net",
        "arithmetic: multiplier_shift@1",
        f"format: {FORMAT}",
        "method: mse",
        "samples: 64",
    ]
    rows = [row.split() for row in text.splitlines()[8:]]
    assert rows[0][:10] == ["input", "int8", "0.1", "-3", "3", "-12.5", "13.0", "mse", "40.5", "31.2"]
    assert rows[1][:10] == ["weight", "int8", "-", "0", "-", "-0.5", "0.25", "minmax", "44.0", "-"]
    assert [row[11:] for row in rows[:2]] == [["x"], ["w"]] and all(len(row[10]) == 24 for row in rows[:2])
    assert rows[2][:-1] == ["correct", "bias", "y", "1", "-2"] and rows[2][-1].startswith("#")
    assert rows[3][:2] == ["lines:", "3"] and len(rows) == 4


def test_a_changed_tensor_changes_one_line() -> None:
    other = replace(RECORD, tensors=(replace(LINE, scale=0.123456789012345678, zero_point=-100), WEIGHT))
    before, after = (records.to_text(record).splitlines() for record in (RECORD, other))
    assert sum(a != b for a, b in zip(before, after, strict=True)) == 1


GOOD = records.to_text(RECORD)
SAMPLES = GOOD.splitlines()[5]


@pytest.mark.parametrize(
    ("old", "new", "line", "text"),
    [
        ("record 5", "record 3", 1, "version 3, quantize again"),
        ("samples: 64", "samples: many", 6, "not a whole number"),
        (SAMPLES, f"{SAMPLES}\nsamples: 64", 7, "twice"),
        (f"{GOOD.splitlines()[4]}\n", "", 11, "lacks method"),
        ("scale=free ", "", 4, "format"),
        ("input ", "inpot ", 9, "'inpot' is not one of"),
        ("int8   0.1", "int9   0.1", 9, "'int9' is not a type"),
        ("0.1 ", "-0.1 ", 9, "not above 0"),
        ("0.1 ", "1e300 ", 9, "is not above 0 and from 6.22e-61 to 1.7e+38"),
        ("0.1 ", "nan ", 9, "not a finite number"),
        ("0.1 ", "1e999 ", 9, "not a finite number"),
        ("0.1 ", "- ", 9, "needed"),
        (" -3 ", " -129 ", 9, "outside -128...127"),
        ("40.5 ", "", 9, "has 12 columns"),
        ("correct bias", "correct weight", 11, "not a kind of correction"),
        ("samples: 64", "samples: 0", 6, "cannot be edited"),
        ("method: mse", "method: nonsense", 5, "cannot be edited"),
        ("activations=int8", "activations=int16", 4, "types are by line"),
        ("per_channel=yes", "per_channel=maybe", 4, "`yes` or `no`"),
        ("scale=free", "scale", 4, "a name, `=` and a value"),
        ("scale=free", "scale=free=no", 4, "a name, `=` and a value"),
        (GOOD.splitlines()[-1], "", 12, "the file was cut off"),
        ("0.1 ", "1_0.0 ", 9, "not a finite number"),
        ("0.1 ", "\u0661.5 ", 9, "not a finite number"),
        (" -3 ", " 1_0 ", 9, "not a whole number"),
        (" -3 ", f" {'1' * 5000} ", 9, f"'{'1' * 40}...' is not a whole number"),
        ("bias y 1 -2", "bias", 11, "lacks its tensor"),
        ("bias y", 'bias "y', 11, "must be a JSON string"),
        (" x\n", ' "x\n', 9, "must be a JSON string"),
        ("y 1 -2", "y 1 x", 11, "'x' is not a whole number"),
        ("y 1 -2", "y 1 -2\ncorrect bias y 3", 12, "twice"),
        (" w\n", f" w\n{GOOD.splitlines()[8]}\n", 11, "'x' stands twice"),
    ],
)
def test_errors_name_the_line(old: str, new: str, line: int, text: str) -> None:
    assert old in GOOD
    with pytest.raises(ModelbuildError, match="cannot be read") as caught:
        records.from_text(GOOD.replace(old, new, 1), "quant.txt")
    (problem,) = caught.value.problems
    assert problem.where == f"quant.txt:{line}" and text in problem.why
    assert problem.advice.endswith("or quantize again without `record:`")


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    for content in (text, GOOD + text, "# modelbuild quantization record 5\n" + text):
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


def test_a_byte_order_mark_and_other_line_ends_change_nothing(tmp_path: Path) -> None:
    (tmp_path / "q.txt").write_bytes(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
    assert records.read(tmp_path / "q.txt") == RECORD


def test_a_lost_line_is_noticed() -> None:
    found = records.from_text("\n".join(line for line in GOOD.split("\n") if "correct" not in line))
    assert found.edited == {"lines"} and found.is_edited and found.to_json()["edited"] is True
    assert records.to_text(found).splitlines()[-1] == "lines: 2 #edited"
    assert not RECORD.is_edited and RECORD.to_json()["edited"] is False


def test_sizes_are_bounded(tmp_path: Path) -> None:
    with (tmp_path / "q.txt").open("wb") as file:
        file.truncate((16 << 20) + 1)
    with pytest.raises(ModelbuildError, match="too large"):
        records.read(tmp_path / "q.txt")
    with pytest.raises(ModelbuildError, match="are of no model"):
        records.from_text(f"{GOOD}correct bias z{' 1' * (1 << 20)}\n")
    with pytest.raises(ModelbuildError, match="has at most"):
        records.from_text(GOOD + "\n" * (1 << 17))


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


def edited(old: str, new: str) -> Record:
    assert old in GOOD
    return records.from_text(GOOD.replace(old, new, 1))


def test_an_edited_line_is_used_and_marked() -> None:
    found = edited(" 0.1 ", " 0.2 ")
    line = found.tensors[0]
    assert (line.scale, line.zero_point, line.method) == (0.2, -3, "edited")
    assert (line.low, line.high) == (-125 * 0.2, 130 * 0.2)  # follow
    assert line.snr_db is None and line.output_snr_db is None  # of the scale that was
    assert found.tensors[1] == WEIGHT and not found.edited
    again = records.to_text(found)
    assert "edited" in again.splitlines()[8] and records.from_text(again) == found
    assert [entry["edited"] for entry in found.to_json()["tensors"]] == [True, False]


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("-12.5", "-20.0", "`low` was edited, which follows from scale and zero\n  do:  write -12.5 again"),
        ("13.0", "12.0", "`high` was edited, which follows from scale and zero\n  do:  write 13.0 again"),
        (" 3     -12.5", " 4     -12.5", "`radix` was edited, .*\n  do:  write 3 again"),
        ("0.25 ", "0.35 ", "of weights the type can be edited"),
        ("weight     int8   -  ", "weight     int8   0.5", "of weights the type can be edited"),
        ("minmax", "source", "`method` was edited, .*\n  do:  write minmax again"),
        ("input ", "activation ", "`kind` was edited, .*\n  do:  write input again"),
        (" mse  ", " minmax  ", "`method` was edited, .*\n  do:  write mse again"),
        (" mse  ", " xyzzy  ", "`method` was edited, .*\n  do:  write mse again"),
        (" x\n", " z\n", r"name stay.*\n  do:  put the line back as it was, its name too \(z\)"),
        ("40.5 ", "99.5 ", "`snr` or `output` was edited"),
        ("31.2 ", "-    ", "`snr` or `output` was edited"),
        (GOOD.splitlines()[8].split()[10], "0" * 16, "kind, method, sum and name stay"),
    ],
)
def test_an_edit_that_could_have_no_effect_is_refused(old: str, new: str, text: str) -> None:
    with pytest.raises(ModelbuildError, match=text):
        edited(old, new)


def test_what_was_found_does_not_outlive_an_edit() -> None:
    text = GOOD.replace(" 0.1 ", " 0.2 ", 1)
    with pytest.raises(ModelbuildError, match="`snr` or `output` was edited"):
        records.from_text(text.replace("40.5 ", "99.5 ", 1))
    found = records.from_text(text.replace("40.5 ", "-    ", 1).replace("31.2 ", "-    ", 1))
    assert found.tensors[0].scale == 0.2 and found.tensors[0].method == "edited"


def test_a_type_alone_is_told_the_scale_that_goes_with_it() -> None:
    with pytest.raises(ModelbuildError, match="no finer") as caught:
        edited("int8   0.1", "int16  0.1")
    assert f"write the scale {0.1 / 256!r} and the zero -768 as well" in caught.value.problems[0].advice
    narrow = edited("int8   0.1               ", f"int16  {0.1 / 256!r}".ljust(32)).tensors[0]
    assert (narrow.bits, narrow.scale) == (16, 0.1 / 256)


@pytest.mark.parametrize("end", [0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 0.99])
def test_a_file_that_was_cut_is_called_so(end: float) -> None:
    with pytest.raises(ModelbuildError, match="the file was cut off"):
        records.from_text(GOOD[: round(len(GOOD) * end)])


def test_a_record_of_the_version_before_is_read() -> None:
    lines = GOOD.replace("record 5", "record 4").splitlines(keepends=True)
    for row in (8, 9):
        total = lines[row].split()[10]
        lines[row] = lines[row].replace(total, total[:16])
    assert records.from_text("".join(lines)) == RECORD
    assert records.to_text(records.from_text("".join(lines))) == GOOD
    with pytest.raises(ModelbuildError, match="`low` was edited"):
        records.from_text("".join(lines).replace("-12.5", "-13.5"))


def test_the_type_of_weights_can_be_edited() -> None:
    found = edited("weight     int8 ", "weight     int16")
    assert (found.tensors[1].bits, found.tensors[1].method) == (16, "edited")


def test_an_edited_correction_is_marked() -> None:
    found = edited("bias y 1 -2", "bias  y 1 -3")
    assert found.corrections == {"bias": {"y": (1, -3)}} and found.edited == {"bias y"}
    assert records.to_text(found).splitlines()[-2] == "correct bias y 1 -3 #edited"
    assert records.from_text(records.to_text(found)) == found
    added = records.from_text(GOOD + "correct clip y 100 128\n")
    assert added.corrections["clip"] == {"y": (100, 128)} and added.edited == {"clip y", "lines"}
    assert records.to_text(added).splitlines()[-1] == "lines: 4 #edited"
    assert records.from_text(records.to_text(added)) == added


def test_rounding_is_a_line_a_channel() -> None:
    record = replace(RECORD, corrections={"round": {"y": (0, 5, 7, 1 << 40), "a b": (3, 255)}})
    text = records.to_text(record)
    start = [line.rpartition(" #")[0] for line in text.splitlines()[-4:-1]]
    assert start == ["correct round y 0 5", "correct round y 7 10000000000", 'correct round "a b" 3 ff']
    assert records.from_text(text) == record
    found = records.from_text(text.replace("round y 0 5", "round y 0 4"))
    assert found.edited == {"round y 0"} and found.corrections["round"]["y"] == (0, 4, 7, 1 << 40)


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("correct round y 0", "takes a tensor, a channel and bits"),
        ("correct round y 0 0x5", "takes a tensor, a channel and bits"),
        ("correct round y 1 5\ncorrect round y 1 6", "does not come after"),
    ],
)
def test_rounding_that_cannot_be_read(line: str, text: str) -> None:
    with pytest.raises(ModelbuildError, match=text):
        records.from_text(f"{GOOD}{line}\n")
