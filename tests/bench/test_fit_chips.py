"""The bench of the fit: its tables, its limits, and the vendor's published times."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from bench import constants, fit_chips
from bench.constants import CHIPS
from bench.counts import Counts
from bench.fit_chips import LIMITS, by_network, by_row, main, means, rows, shown, too_far
from bench.fitting import Problem, Row, fit_all


def test_means_and_limits() -> None:
    found = {("a", "kl520"): 1.5, ("b", "kl520"): 0.9, ("a", "kl720"): 1.29, ("b", "kl720"): 0.71}
    assert means(found) == pytest.approx({"kl520": 30.0, "kl720": 29.0})
    assert too_far(found) == ["kl520: 30.0 % with a network left out, more than 20 %"]


def test_a_table_has_a_row_a_network_and_the_mean() -> None:
    found = {("b", "kl530"): 0.5, ("a", "kl530"): 1.25, ("a", "kl730"): 1.0}
    assert shown("Title", found) == [
        "Title (ours / vendor's):",
        "",
        "| network | kl520 | kl530 | kl630 | kl720 | kl730 |",
        "|---|---:|---:|---:|---:|---:|",
        "| a |  | 1.25 |  |  | 1.00 |",
        "| b |  | 0.50 |  |  |  |",
        "| **mean absolute error, %** |  | **37.5** |  |  | **0.0** |",
        "",
    ]


def small_problem() -> Problem:
    tallies = {"a": ("window", 10**8, 10), "b": ("elements", 10**7, 0), "c": ("read", 10**8, 0)}
    of_chips = [constants.chip(name) for name in CHIPS]
    found = [
        Row(name, chip, Counts.of({key: 1}, 9), 5.0 + number)
        for number, (name, key) in enumerate(tallies.items())
        for chip in CHIPS
    ]
    return Problem(of_chips, found, 512.0)


def test_a_network_left_out_is_left_out_on_all_chips() -> None:
    made = small_problem()
    found = by_network(made)
    assert len(found) == len(made.rows)
    spoilt = [replace(row, milliseconds=50 * row.milliseconds) for row in made.rows if row.network == "a"]
    spoilt += [row for row in made.rows if row.network != "a"]
    again = by_network(Problem(made.chips, spoilt, made.macs))
    for chip in CHIPS:
        assert again["a", chip] == pytest.approx(found["a", chip] / 50)  # its own times had no say
        assert chip == "kl520" or again["b", chip] != found["b", chip]


def test_a_row_left_out_leaves_the_shared_constants_alone() -> None:
    made = small_problem()
    fit = fit_all(made)
    found = by_row(made, fit)
    whole = fit_chips.ratios(made, fit, made.rows)
    assert all(found[name, "kl630"] == whole[name, "kl630"] for name in "abc")  # it has none of its own
    assert found["b", "kl520"] != whole["b", "kl520"]


@pytest.fixture(scope="module")
def real_rows(shared_data: Path) -> list[Row]:
    return rows(shared_data / "zoo")


def test_the_vendors_times_are_met_by_networks_never_seen(real_rows: list[Row]) -> None:
    made = Problem([constants.chip(name) for name in CHIPS], real_rows, constants.family_macs())
    assert len(real_rows) == 41
    assert all(len(chip.own) <= fit_chips.MOST_OWN for chip in made.chips)
    assert too_far(by_network(made)) == []


def test_the_page_has_the_errors_of_today(real_rows: list[Row]) -> None:
    made = Problem([constants.chip(name) for name in CHIPS], real_rows, constants.family_macs())
    page = (Path(__file__).parents[2] / "docs" / "chips.md").read_text(encoding="utf-8")
    told = re.search(r"\| \*\*mean absolute error, %\*\* \|(.*)", page)
    assert told is not None
    errors = [float(cell.strip(" *")) for cell in told[1].strip(" |").split("|")]
    assert errors == pytest.approx(list(means(by_network(made)).values()), abs=0.3)


def test_recipes_have_what_the_fit_says(real_rows: list[Row]) -> None:
    """If not: `python -m bench.fit_chips --zoo DIR --write`, and the tables of docs/chips.md."""
    made = Problem([constants.chip(name) for name in CHIPS], real_rows, constants.family_macs())
    fit = fit_all(made)
    for chip in made.chips:
        for name, value in fit.of_chips[chip.name].items():
            assert chip.values[name] == pytest.approx(value, rel=0.02), (chip.name, name)


def test_the_command_writes_and_ends_with_what_is_too_far(
    shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("mobilenet_v2", "tiny_yolov3"):
        shutil.copy(shared_data / "zoo" / f"{name}.onnx", tmp_path)
    lines = (shared_data / "zoo" / "zoo.csv").read_text().split("\n")
    kept = [line for line in lines if line.startswith(("name,", "mobilenet_v2,", "tiny_yolov3,"))]
    (tmp_path / "zoo.csv").write_text("\n".join(kept) + "\n")
    written: list[object] = []

    def write(shared: object, of_chips: object) -> list[Path]:
        written.append((shared, of_chips))
        return [Path("kneron.yaml")]

    monkeypatch.setattr(constants, "write", write)
    monkeypatch.setattr(fit_chips, "LIMITS", dict.fromkeys(LIMITS, 1000.0))
    assert main(["--zoo", str(tmp_path), "--quick", "--write"]) == 0
    out, err = capsys.readouterr()
    assert out.index("A network left out") < out.index("The fit") < out.index("Constants")
    assert "A row left out" not in out and "wrote kneron.yaml" in err and len(written) == 1
    monkeypatch.setattr(fit_chips, "LIMITS", dict.fromkeys(LIMITS, 0.001))
    assert main(["--zoo", str(tmp_path)]) == 1
    out, err = capsys.readouterr()
    assert "A row left out" in out and "kl630: " in err and len(written) == 1
