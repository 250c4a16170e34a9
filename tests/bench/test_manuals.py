"""The vendors' figures beside ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.manuals import Ours, main, older_times, row


def test_the_older_manual() -> None:
    found = older_times()
    assert found["inception_v3_224", "kl520"] == 158 and found["unet", "kl720"] == 354
    assert len(found) == 6 + 8 and ("unet", "kl520") not in found


def test_a_row_in_the_vendors_form() -> None:
    cells = row("net", (12.5, None), Ours("3x8x8", 20.0, ("Mul", "Softmax")))
    assert cells == ("net", "3x8x8", "80", "12.5", "", "", "50", "20", "Mul, Softmax")
    assert row("net", (None, None), Ours("1x2x3", 1000.0, ()))[-3:] == ("1", "1000", "N/A")


def test_the_command(shared_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--zoo", str(shared_data / "zoo"), "--names", "resnet50_v1.5"]) == 0
    out = capsys.readouterr().out
    lines = [line for line in out.split("\n") if line.startswith("| resnet50_v1.5 |")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert [line[:6] for line in cells[:2]] == [
        ["resnet50_v1.5", "3x224x224", "7.022", "142.4", "6.925", "144.4"],
        ["resnet50_v1.5", "3x224x224", "52.36", "19.1", "54.91", "18.21"],
    ]
    assert abs(float(cells[0][7]) / 144.4 - 1) < 0.1 and abs(float(cells[1][7]) / 18.21 - 1) < 0.1
    vendors, without_stalls, whole, busy = (int(cell.replace(",", "")) for cell in cells[2][2:])
    assert abs(whole / vendors - 1) < 0.15 and abs(busy / without_stalls - 1) < 0.1
