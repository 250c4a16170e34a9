"""`sweep`: rows, what they share, what is current, and that a row can be adopted."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from modelbuild.build.result import Event
from modelbuild.errors import ModelbuildError
from modelbuild.manifest.settings import effective
from modelbuild.project.building import build
from modelbuild.project.comparing import Evaluation
from modelbuild.project.measuring import Measured
from modelbuild.project.options import BuildOptions
from modelbuild.project.project import Project, open_project
from modelbuild.project.sweep_report import SweepReport, Variant, adopted, marked
from modelbuild.project.sweeping import sweep
from tests.project.small_project import write_manifest, write_model, write_samples

MANIFEST = """
samples: {numbers: {files: samples/*.npy}}
models:
  net: {source: net.onnx, calibration: {set: numbers, count: 4}, accept: {snr_db: 30}}
targets: {cam: {chip: kl720}, old: {chip: kl520}}
packages: {bell: {target: cam, models: {net: {id: 40000, version: "0042"}}}}
"""
METHODS = "quantize.range.method=output_error,minmax"
COUNTS = "calibration.count=2,4"
BITS = "quantize.activations=int8,int16"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    write_model(tmp_path / "net.onnx")
    write_samples(tmp_path / "samples", 4)
    write_manifest(tmp_path, MANIFEST)
    return open_project(tmp_path)


class Counted:
    """What ran, by stage."""

    def __init__(self) -> None:
        self.ran: Counter[str] = Counter()

    def __call__(self, event: Event) -> None:
        if event.kind == "finished" and event.state == "run":
            self.ran[event.action.rsplit(":", 1)[1]] += 1


def test_rows_share_what_they_can_and_a_second_sweep_runs_nothing(project: Project) -> None:
    seen = Counted()
    report = sweep(project, "net@cam", [METHODS, BITS, COUNTS], observer=seen)
    assert report.exit_code == 0 and len(report.rows) == 8
    assert report.keys == ("quantize.range.method", "quantize.activations", "calibration.count")
    assert seen.ran["import_source"] == seen.ran["normalise"] == seen.ran["lower"] == 1
    assert seen.ran["observe"] == 2  # once a count, whatever the method and the bits
    assert seen.ran["quantize"] == 8
    assert all(row.measured is not None and row.measured.worst_snr_db is not None for row in report.rows)
    again = Counted()
    assert sweep(open_project(project.root), "net@cam", [METHODS, BITS, COUNTS], observer=again) == report
    assert not again.ran
    assert not (project.root / "dist").exists() and not (project.root / "reports").exists()


def test_the_manifests_own_settings_are_marked_or_added(project: Project) -> None:
    with_own = sweep(project, "net@cam", [METHODS])
    assert [(row.number, row.current) for row in with_own.rows] == [(1, True), (2, False)]
    without = sweep(project, "net@cam", ["quantize.range.method=minmax"])
    assert [(row.number, row.current) for row in without.rows] == [(0, True), (1, False)]
    assert without.rows[0].measured == with_own.rows[0].measured
    assert without.rows[1].measured == with_own.rows[1].measured


def test_the_current_row_shares_its_actions_with_builds(project: Project) -> None:
    assert build(project, ["bell"]).ok
    seen = Counted()
    sweep(project, "net@cam", ["quantize.range.method=output_error"], observer=seen)
    assert set(seen.ran) <= {"package", "verify_hardware"}


def test_rows_that_calibrate_on_different_samples_are_measured_on_the_same(project: Project) -> None:
    report = sweep(project, "net@cam", ["calibration.count=2,3,99"], BuildOptions(keep_going=True))
    assert report.evaluation == Evaluation("numbers", 4, 4)  # the manifest's own row has most
    assert "evaluation" not in adopted(report.rows[1], "net", "cam")
    write_manifest(project.root, MANIFEST.replace("count: 4}", "count: 4}, evaluation: numbers"))
    named = sweep(open_project(project.root), "net@cam", ["calibration.count=2,3"])
    assert named.evaluation is None
    assert [row.measured for row in report.rows[:3]] == [row.measured for row in named.rows]


def test_one_evaluation_that_is_tried_measures_the_manifests_row_too(project: Project) -> None:
    report = sweep(project, "net@cam", ["evaluation={set: numbers, count: 2}"])
    assert report.evaluation == Evaluation("numbers", 2, 2)
    assert [row.current for row in report.rows] == [True, False]
    assert report.rows[0].measured == report.rows[1].measured
    with pytest.raises(ModelbuildError, match="could not be ranked"):
        sweep(project, "net@cam", ["evaluation={set: numbers, count: 2},{set: numbers, count: 3}"])


def test_a_combination_that_cannot_be_is_a_row_that_says_why(project: Project) -> None:
    report = sweep(project, "net@old", [BITS, "calibration.count=4,99"], BuildOptions(keep_going=True))
    errors = {
        (row.settings["quantize.activations"], row.settings["calibration.count"]): row for row in report.rows
    }
    assert errors["int8", "4"].error is None and errors["int8", "4"].measured is not None
    assert "99 samples asked for" in str(errors["int8", "99"].error)
    assert "int16 activations are not possible on kl520" in str(errors["int16", "4"].error)
    assert report.exit_code == 2
    assert [row.error is None for row in report.ranked("snr")] == [True, False, False, False]


@pytest.mark.parametrize("values", ["int8,int4", "int4,int8"])
def test_a_value_that_its_key_does_not_take_is_such_a_row(project: Project, values: str) -> None:
    report = sweep(project, "net@cam", [f"quantize.activations={values}"])
    rows = {row.settings["quantize.activations"]: row for row in report.rows}
    assert rows["int8"].measured is not None and rows["int8"].error is None
    (problem,) = rows["int4"].error.problems if rows["int4"].error else ()
    assert problem.where == "--try quantize.activations=int4" and report.exit_code == 2


def test_a_stage_that_fails_stops_the_others_unless_told(project: Project) -> None:
    tries = ["compile.sram_bytes=1,2,3,500000"]
    going = sweep(project, "net@cam", tries, BuildOptions(jobs=1, keep_going=True))
    told = [str(row.error) for row in going.rows if row.error]
    assert len(told) == 3 and all("SRAM" in text for text in told)
    assert going.exit_code == 2 if going.rows[1].error and going.rows[1].error.exit_code == 2 else 1
    assert [row.number for row in going.rows if row.measured] == [0, 4]


@pytest.mark.parametrize(
    ("pair", "tries", "says"),
    [
        ("net", [METHODS], "is not MODEL@TARGET"),
        ("nett@cam", [METHODS], "no model is called `nett`"),
        ("net@cams", [METHODS], "no target is called `cams`"),
        ("net@cam", ["quantize.rnage=1,2"], "unknown key `rnage`"),
        ("net@cam", ["calibration.count=two"], "calibration"),
    ],
)
def test_what_is_wrong_with_the_question_is_an_error(
    project: Project, pair: str, tries: list[str], says: str
) -> None:
    with pytest.raises(ModelbuildError, match=says) as caught:
        sweep(project, pair, tries)
    assert caught.value.exit_code == 2 and not (project.root / ".modelbuild").exists()


def test_a_bound_that_does_not_hold_is_told_and_is_no_failure(project: Project) -> None:
    report = sweep(project, "net@cam", ["accept.snr_db=1,300"])
    bounds = [row.measured.broken_bounds for row in report.rows if row.measured and not row.current]
    assert bounds == [(), ("snr_db of scores",)] and report.exit_code == 0


def test_adopted_lines_mean_in_the_manifest_what_they_meant_in_the_sweep(project: Project) -> None:
    row = sweep(project, "net@cam", ["quantize.range={method: percentile, percentile: 99.5}", COUNTS]).rows[1]
    text = adopted(row, "net", "cam")
    assert "  net:\n    targets:\n      cam:\n" in text
    inner = text[text.index("    targets:") :]
    manifest = MANIFEST.replace(
        "  net: {source: net.onnx, calibration: {set: numbers, count: 4}, accept: {snr_db: 30}}\n",
        "  net:\n    source: net.onnx\n    calibration: {set: numbers, count: 4}\n    accept: {snr_db: 30}\n"
        + inner,
    )
    write_manifest(project.root, manifest)
    by_manifest = effective(open_project(project.root).manifest, "net", "cam").values
    write_manifest(project.root, MANIFEST)
    by_option = effective(open_project(project.root, overrides=row.set_options).manifest, "net", "cam").values
    assert by_manifest == by_option
    assert by_option["quantize"]["range"] == {"method": "percentile", "percentile": 99.5}


def test_adopted_lines_are_short_and_mean_the_same(project: Project) -> None:
    tries = ["quantize.activations=int16", "evaluation=numbers", "calibration=numbers"]
    row = sweep(project, "net@cam", tries).rows[1]
    text = adopted(row, "net", "cam")
    assert {line.strip() for line in text.splitlines()[4:]} == {
        "quantize: {activations: int16}",
        "evaluation: numbers",
        "calibration: numbers",
    }
    inner = text[text.index("    targets:") :]
    own = "    source: net.onnx\n    calibration: {set: numbers, count: 4}\n    accept: {snr_db: 30}\n"
    line = "  net: {source: net.onnx, calibration: {set: numbers, count: 4}, accept: {snr_db: 30}}\n"
    assert line in MANIFEST
    write_manifest(project.root, MANIFEST.replace(line, f"  net:\n{own}{inner}"))
    by_manifest = effective(open_project(project.root).manifest, "net", "cam").values
    write_manifest(project.root, MANIFEST)
    opened = open_project(project.root, overrides=row.set_options)
    assert by_manifest == effective(opened.manifest, "net", "cam").values


def measured(snr: float | None, size: int, ms: float) -> Measured:
    return Measured({} if snr is None else {"y": snr}, size, 1, ms, None, None, 0, ())


def test_the_front_is_what_no_other_row_beats() -> None:
    points = [
        (30.0, 10, 1.0),
        (20.0, 10, 1.0),
        (40.0, 10, 2.0),
        (30.0, 10, 1.0),
        (10.0, 5, 9.0),
        (9.0, 5, 9.0),
    ]
    rows = [Variant(i, {"k": ""}, (), measured=measured(*point)) for i, point in enumerate(points, 1)]
    rows.append(Variant(7, {"k": ""}, (), error=ModelbuildError("no")))
    assert [row.front for row in marked(rows)] == [True, False, True, True, True, False, False]


def test_ranks() -> None:
    points = [(30.0, 10, 3.0), (40.0, 20, 1.0), (None, 5, 2.0)]
    rows = tuple(Variant(i, {"k": ""}, (), measured=measured(*point)) for i, point in enumerate(points, 1))
    report = SweepReport("m", "t", ("k",), (replace(rows[0], number=9, measured=None), *rows))
    assert [row.number for row in report.ranked("snr")] == [2, 1, 3, 9]
    assert [row.number for row in report.ranked("size")] == [3, 1, 2, 9]
    assert [row.number for row in report.ranked("time")] == [2, 3, 1, 9]
