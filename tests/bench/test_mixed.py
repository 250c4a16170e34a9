"""The bench of modes: a table for weights with a scale a channel, and one for a scale in all."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.mixed import MODES, main


def test_the_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "tables.md"
    goals = ["--goals", "5", "150"]
    assert main(["--only", "digits", "--samples", "8", *goals, "--output", str(output)]) == 0
    text = output.read_text(encoding="utf-8")
    assert text == capsys.readouterr().out
    tables = text.split("### digits, kl720, ")[1:]
    assert [table.splitlines()[0] for table in tables] == [
        "a scale a channel",
        "one scale for all weights of a layer",
    ]
    for table in tables:
        rows = [line.strip("| ").split(" | ") for line in table.splitlines()[4:] if line.startswith("|")]
        named = {row[0]: row[1:] for row in rows}
        assert list(named) == [*MODES, "auto, 5 dB", "auto, 150 dB", "int16"]
        assert named["auto, 150 dB"][0] == "out of reach"
        assert named["int8"][-1] == "0 %" and named["int16"][-1] == "100 %"
        assert float(named["int16"][0]) > float(named["int8"][0])
