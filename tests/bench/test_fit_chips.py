"""The bench of the fit: its tables, its limits, and the vendor's published times."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from bench import choices, constants, fit_chips
from bench.choices import Published, problem, published
from bench.constants import CHIPS, Tried
from bench.fit_chips import LIMITS, main, shown, too_far, too_many, tried_shown, with_tried
from bench.fitting import Problem, fit_all
from bench.left_out import by_network, means

SMALL = ("mobilenet_v2", "tiny_yolov3")


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


def test_what_was_tried_counts_unless_all_chips_share_it() -> None:
    of_chips = [constants.chip(name) for name in CHIPS]
    assert [len(chip.own) for chip in of_chips] == [1, 2, 0, 2, 3]
    facts = [
        Tried("tile_bytes", dict.fromkeys(CHIPS, 65536.0), CHIPS),
        Tried("pixels_at_once", dict(zip(CHIPS, (1, 16, 1, 16, 16), strict=True)), CHIPS[1:]),
        Tried("clock_hz", {**dict.fromkeys(CHIPS, 3e8), "kl730": 1e9}, ("kl730",)),
    ]
    assert tried_shown(of_chips, facts)[4:] == [
        "| tile_bytes | 65,536 shared | 65,536 shared | 65,536 shared | 65,536 shared | 65,536 shared |",
        "| pixels_at_once | 1 known | 16 tried | 1 tried | 16 tried | 16 tried |",
        "| clock_hz | 300,000,000 known | 300,000,000 known | 300,000,000 known | 300,000,000 known | "
        "1,000,000,000 tried |",
        "| **fitted, or tried and not shared by all** | **1** | **3** | **0** | **3** | **5** |",
        "| those of 1 too, which round nothing | 1 | 3 | 1 | 3 | 5 |",
        "",
    ]
    assert too_many(of_chips, facts) == [
        "kl730 has 5 constants of its own if what was tried counts, more than 4"
    ]
    assert too_many(of_chips, constants.tried()) == []


def test_either_count_is_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fit_chips, "MOST_OWN", 2)
    assert too_many([constants.chip(name) for name in CHIPS], constants.tried()) == [
        "kl730 has 3 constants fitted for it alone, more than 2",
        "kl730 has 4 constants of its own if what was tried counts, more than 2",
    ]


@pytest.fixture(scope="module")
def given(shared_data: Path) -> list[Published]:
    return published(shared_data / "zoo")


@pytest.fixture(scope="module")
def made(given: list[Published]) -> Problem:
    return problem(given)


@pytest.fixture(scope="module")
def left_out(made: Problem) -> dict[tuple[str, str], float]:
    return by_network(made)


def test_the_vendors_times_are_met_by_networks_never_seen(
    made: Problem, left_out: dict[tuple[str, str], float]
) -> None:
    assert len(made.rows) == 41
    assert too_many(made.chips, constants.tried()) == []
    assert too_far(left_out) == []


def test_the_page_has_the_errors_of_today(left_out: dict[tuple[str, str], float]) -> None:
    page = (Path(__file__).parents[2] / "docs" / "chips.md").read_text(encoding="utf-8")
    told = re.search(r"\| \*\*mean absolute error, %\*\* \|(.*)", page)
    assert told is not None
    errors = [float(cell.strip(" *")) for cell in told[1].strip(" |").split("|")]
    assert errors == pytest.approx(list(means(left_out).values()), abs=0.3)


def test_the_page_has_what_was_tried(made: Problem) -> None:
    page = (Path(__file__).parents[2] / "docs" / "chips.md").read_text(encoding="utf-8")
    tried = constants.tried()
    assert all(line in page for line in tried_shown(made.chips, tried)[2:])
    count = with_tried(made.chips, tried)
    assert f"(**{', '.join(map(str, count.values()))}**)" in page


@pytest.mark.long
def test_the_page_says_how_much_hangs_on_it(given: list[Published]) -> None:
    page = (Path(__file__).parents[2] / "docs" / "chips.md").read_text(encoding="utf-8")
    for line in fit_chips.sensitivity_shown(given)[4:-1]:
        name, *cells = line.strip("| ").split(" | ")
        told = re.search(rf"\| {re.escape(name)} \|(.*)", page)
        assert told is not None, name
        errors = [float(cell) for cell in told[1].strip(" |").split("|")]
        assert errors == pytest.approx([float(cell) for cell in cells], abs=0.3), name


def test_recipes_have_what_the_fit_says(made: Problem) -> None:
    """If not: `python -m bench.fit_chips --zoo DIR --write`, and the tables of docs/chips.md."""
    fit = fit_all(made)
    for chip in made.chips:
        for name, value in fit.of_chips[chip.name].items():
            assert chip.values[name] == pytest.approx(value, rel=0.02), (chip.name, name)


def test_the_command_writes_and_ends_with_what_is_too_far(
    shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in SMALL:
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
    assert "constants" not in err
    with monkeypatch.context() as most:
        most.setattr(fit_chips, "MOST_OWN", 3)
        assert main(["--zoo", str(tmp_path), "--quick"]) == 1
    err = capsys.readouterr().err
    assert "kl730 has 4 constants of its own if what was tried counts, more than 3" in err
    monkeypatch.setattr(fit_chips, "LIMITS", dict.fromkeys(LIMITS, 0.001))
    assert main(["--zoo", str(tmp_path)]) == 1
    out, err = capsys.readouterr()
    assert "A row left out" in out and "kl630: " in err and len(written) == 1
    assert "mean absolute error in %" not in out


def test_sensitivity_changes_each_choice_alone(
    given: list[Published], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small = [each for each in given if each.network in SMALL]
    few = [choice for choice in choices.CHOICES if choice.name in ("as it is", "clock of KL730 2 GHz")]
    monkeypatch.setattr(fit_chips, "CHOICES", few)
    monkeypatch.setattr(fit_chips, "MORE", [it for it in choices.MORE if it.own == ("kl630", "bandwidth")])
    lines = fit_chips.sensitivity_shown(small)
    cells = [line.strip("| ").split(" | ") for line in lines[4:-1]]
    assert [row[0] for row in cells] == [
        "as it is",
        "clock of KL730 2 GHz",
        "one of all these, chosen again without the network",
        "`bandwidth` of KL630 its own",
    ]
    today, faster, again, own = (row[1:] for row in cells)
    assert [float(cell) for cell in today] == pytest.approx(
        list(means(by_network(problem(small))).values()), abs=0.051
    )
    assert faster[4] != today[4] and own[2] != today[2]
    assert all(cell in (first, second) for cell, first, second in zip(again, today, faster, strict=True))
