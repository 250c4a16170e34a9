"""`sweep`: the table, the legend, the lines to adopt, and the exit code."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Command

METHODS = ("--try", "quantize.range.method=output_error,minmax")


def cells(line: str) -> list[str]:
    return line.split()


def test_a_table_ranked_with_the_current_settings_and_the_front_marked(
    copied: Path, command: Command
) -> None:
    before = {path: path.stat().st_mtime_ns for path in copied.glob("dist/**/*")}
    said = command(copied, "sweep", "small@nef", *METHODS)
    assert said.code == 0
    header, first, second, legend = said.lines[:4]
    assert cells(header) == ["row", "quantize.range.method", "SNR", "dB", "top-1", "bytes", "ms", "gate"]
    assert cells(first)[:2] == ["2", "minmax"] and cells(first)[-1] == "*"
    assert cells(second)[:2] == ["1", "output_error"] and cells(second)[-1] == "current"
    assert float(cells(first)[2]) > float(cells(second)[2])
    assert legend.startswith("*: ")
    assert "modelbuild build small@nef --set quantize.range.method=minmax" in said.out
    assert "          quantize:" in said.lines
    assert {path: path.stat().st_mtime_ns for path in copied.glob("dist/**/*")} == before


def test_json(copied: Path, command: Command) -> None:
    said = command(copied, "sweep", "small@nef", *METHODS, "--sort", "time", "--json")
    found = said.json
    assert {key: found[key] for key in ("ok", "model", "target", "keys", "sort")} == {
        "ok": True,
        "model": "small",
        "target": "nef",
        "keys": ["quantize.range.method"],
        "sort": "time",
    }
    assert [row["set"] for row in found["rows"]] == [
        ["quantize.range.method=minmax"],
        ["quantize.range.method=output_error"],
    ]
    assert {row["gate"] for row in found["rows"]} == {"passed"} and found["rows"][1]["current"] is True


def test_a_row_that_cannot_be_and_the_row_to_adopt(copied: Path, command: Command) -> None:
    tries = ("--try", "quantize.activations=int8,int16", "--try", "accept.snr_db=300")
    said = command(copied, "sweep", "small@old", *tries, "--adopt", "1", "-k")
    assert said.code == 2
    assert "row 2 was not built:" in said.err and "not possible on kl520" in said.err
    assert any(cells(line)[:3] == ["2", "int16", "300"] and "failed" in line for line in said.lines)
    assert "row 1: out of bounds: snr_db of scores" in said.lines
    assert "to adopt row 1, write into the manifest:" in said.lines


def test_what_makes_no_sense(small: Path, command: Command) -> None:
    for words in (("--adopt", "9"), ("-j", "0"), ("--try", "quantize.range.method=mse")):
        said = command(small, "sweep", "small@nef", *METHODS, *words)
        assert said.code == 2 and said.err.strip().splitlines()[0].startswith("error:"), words
