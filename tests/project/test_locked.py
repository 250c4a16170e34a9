"""Building from the lock: without samples, the same bytes; and what differs is named before any work."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelbuild.errors import ModelbuildError
from modelbuild.manifest import lockfile
from modelbuild.project import locking
from modelbuild.project.building import build
from modelbuild.project.options import BuildOptions
from modelbuild.project.project import open_project
from tests.project.locked_project import AGAIN, LOCKED, append, below, edit
from tests.project.small_project import write_manifest


def refused(folder: Path, names: tuple[str, ...] = (), options: BuildOptions = LOCKED) -> list[str]:
    """The items that a locked build names, before any work. It exits with 2."""
    with pytest.raises(ModelbuildError) as caught:
        build(open_project(folder, locked=True), names, options)
    assert caught.value.exit_code == 2
    assert not (folder / "dist").exists() and not (folder / ".modelbuild/work").exists()
    for problem in caught.value.problems:
        assert problem.where and problem.advice and "locked " in problem.why and ", found " in problem.why
    return [
        problem.what.removesuffix(" is not what modelbuild.lock says") for problem in caught.value.problems
    ]


def set_to(old: str, new: str) -> Callable[[Path], None]:
    return lambda folder: edit(folder / "models.yaml", old, new)


def locked_to(old: str, new: str) -> Callable[[Path], None]:
    return lambda folder: edit(folder / lockfile.LOCK, old, new)


def own_recipe(folder: Path) -> None:
    fact = "{value: 1.0e+8, source: x, sure: inferred}"
    (folder / "cam.yaml").write_text(f"chip: my-cam\nextends: kl720\nhardware: {{clock_hz: {fact}}}\n")
    edit(folder / "models.yaml", "cam: {chip: kl720}", "cam: {chip: ./cam.yaml}")


def default(setting: str) -> Callable[[Path], None]:
    return set_to("calibration: some", f"calibration: some, {setting}")


A_EYE = "modelbuild.locked/a@eye"


def test_a_locked_build_needs_no_samples_and_makes_the_same_bytes(original: Path, checkout: Path) -> None:
    shutil.rmtree(checkout / "data")
    report = build(open_project(checkout, locked=True), (), LOCKED)
    assert report.ok, report.failures
    assert below(checkout / "dist") == below(original / "dist")
    assert not [name for name in report.states if name.endswith((":observe", ":remeasure"))]
    assert build(open_project(checkout, locked=True), (), LOCKED).count("run") == 0


def test_reports_differ_only_in_where_their_measurements_are_from(original: Path, checkout: Path) -> None:
    build(open_project(checkout, locked=True), (), LOCKED)
    pages = [(folder / "reports/both/report.html").read_text("utf-8") for folder in (original, checkout)]
    assert ["Locked measurements" in page for page in pages] == [False, True]
    reports = [
        json.loads((folder / "reports/both/report.json").read_bytes()) for folder in (original, checkout)
    ]
    for report, is_locked in zip(reports, (False, True), strict=True):
        for model in report["models"]:
            assert model["fidelity"].pop("locked") is is_locked
            codes = [finding["code"] for finding in model.pop("findings")]
            assert codes == ([] if is_locked else ["MB201"])  # a locked build looks at no samples
            hardware = model["hardware"]
            assert (hardware.pop("random"), hardware.pop("samples")) == (
                (True, 3) if is_locked else (False, 1)
            )
    assert reports[0] == reports[1]


def test_without_samples_the_manifests_own_errors_still_come(checkout: Path) -> None:
    shutil.rmtree(checkout / "data")
    edit(checkout / "models.yaml", "calibration: some", "calibration: sume")
    with pytest.raises(ModelbuildError, match="sume"):
        open_project(checkout, locked=True)


def test_no_lock_is_said(checkout: Path) -> None:
    (checkout / lockfile.LOCK).unlink()
    with pytest.raises(ModelbuildError, match=r"there is no modelbuild\.lock"):
        open_project(checkout, locked=True)


CHANGES = {
    "source": (append("models/a.onnx"), "the file models/a.onnx"),
    "class names": (append("names.txt"), "the file names.txt"),
    "record": (append(f"{A_EYE}/quant.txt"), f"the record {A_EYE}/quant.txt"),
    "no record": (lambda folder: (folder / A_EYE / "quant.txt").unlink(), f"the record {A_EYE}/quant.txt"),
    "measurements": (append(f"{A_EYE}/measurements.json"), f"the record {A_EYE}/measurements.json"),
    "calibration": (
        set_to("calibration: some", "calibration: {set: some, count: 2}"),
        "`calibration.count` of",
    ),
    "evaluation": (set_to("calibration: some", "calibration: some, evaluation: some"), "`evaluation"),
    "method": (default("quantize: {range: {method: minmax}}"), "`quantize.range.method` of"),
    "passes": (default("optimize: {skip: [split_to_slice]}"), "`optimize.skip` of"),
    "memory": (default("compile: {sram_bytes: 500000}"), "`compile"),
    "cut": (set_to("a.onnx}", "a.onnx, edit: [{cut: {outputs: [scores]}}]}"), "`edit` of a@"),
    "preprocessing": (
        set_to("a.onnx}", "a.onnx, inputs: {image: {preprocess: {scale: 2}}}}"),
        "`inputs.image.preprocess",
    ),
    "id": (set_to("id: 32768", "id: 40000"), "`models.a.id` of the package pa"),
    "package": (set_to("pb: {target: eye, models: [b]", "pb: {target: eye, models: [a, b]"), "`models.a."),
    "toolchain": (locked_to('"toolchain": "builtin/', '"toolchain": "9'), "the toolchain of the target cam"),
    "recipe": (own_recipe, "the recipe of the target cam"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_differs_is_named_before_any_work(checkout: Path, name: str) -> None:
    change, item = CHANGES[name]
    shutil.rmtree(checkout / "data")
    change(checkout)
    found = refused(checkout)
    assert found and all(one.startswith(item) for one in found), found


def test_what_the_lock_lacks_is_named(checkout: Path) -> None:
    edit(checkout / "models.yaml", "[b]}", "[b]}\n  more: {target: cam, models: {b: {id: 32769}}}")
    assert refused(checkout) == ["the model b@cam", "the package more"]
    assert build(open_project(checkout, locked=True), ["pb"], LOCKED).ok


def test_a_model_that_no_package_has_needs_no_entry(warm: Path) -> None:
    edit(warm / "models.yaml", "models: {a:", "models: {c: {source: models/a.onnx}, a:")
    assert build(open_project(warm, locked=True), (), LOCKED).ok


def test_both_digests_and_the_place_are_told(checkout: Path) -> None:
    before = lockfile.digest_of(checkout / "models/a.onnx")
    append("models/a.onnx")(checkout)
    after = lockfile.digest_of(checkout / "models/a.onnx")
    with pytest.raises(ModelbuildError) as caught:
        build(open_project(checkout, locked=True), ["pa"], LOCKED)
    (problem,) = caught.value.problems
    assert problem.why == f"locked {before}, found {after}"
    assert problem.where == "models.yaml:4:22"
    assert problem.advice.endswith("`modelbuild lock a@cam` and review what that changes")


def test_only_what_is_selected_must_agree(checkout: Path) -> None:
    append("models/b.onnx")(checkout)
    assert build(open_project(checkout, locked=True), ["pa"], LOCKED).ok
    assert not (checkout / "dist/pb").exists()


def test_settings_of_one_run_are_settings(checkout: Path) -> None:
    project = open_project(checkout, overrides=["quantize.range.method=minmax"], locked=True)
    with pytest.raises(ModelbuildError, match=r"quantize\.range\.method") as caught:
        build(project, ["pa"], LOCKED)
    assert "--set" in caught.value.problems[0].where


def test_bounds_are_judged_anew_from_the_locked_measurements(warm: Path) -> None:
    shutil.rmtree(warm / "data")
    edit(warm / "models.yaml", "accept: {snr_db: 5}", "accept: {snr_db: 190}")
    report = build(open_project(warm, locked=True), (), LOCKED)
    assert report.exit_code == 1 and {package.gate for package in report.packages} == {"failed"}
    assert "gate: snr_db of scores is" in str(report.failures[0][1])


def test_other_bytes_are_never_shipped(warm: Path) -> None:
    wanted = lockfile.read(warm).packages["pa"].files["models_720.sim.nef"]
    edit(warm / lockfile.LOCK, wanted, "f" * 64)
    report = build(open_project(warm, locked=True), ["pa"], LOCKED)
    (action, error), *_ = report.failures
    assert action == "pa:locked" and report.exit_code == 1
    assert error.problems[0].what == "this machine made other bytes: models_720.sim.nef"
    assert "`packages` in it was edited or merged by hand" in error.problems[0].advice
    assert not (warm / "dist/pa").exists() and report.packages[0].gate == "not reached"
    told = json.loads((warm / "reports/pa/report.json").read_bytes())
    (failure,) = told["failures"]
    assert told["passed"] is False and (failure["stage"], failure["state"]) == ("locked", "failed")
    assert failure["problems"][0]["what"] == error.problems[0].what
    page = (warm / "reports/pa/report.html").read_text("utf-8")
    assert "Comparison with modelbuild.lock failed" in page and "Every stage came through" not in page


def test_line_ends_that_git_changed_make_no_difference(original: Path, checkout: Path) -> None:
    shutil.rmtree(checkout / "data")
    for path in [checkout / lockfile.LOCK, checkout / "names.txt", checkout / "models.yaml"] + [
        path for path in (checkout / lockfile.FOLDER).rglob("*") if path.is_file()
    ]:
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert build(open_project(checkout, locked=True), (), LOCKED).ok
    assert below(checkout / "dist") == below(original / "dist")


def test_measuring_again_agrees_and_leaves_the_products_as_they_are(warm: Path) -> None:
    build(open_project(warm, locked=True), (), LOCKED)
    before = {**below(warm / "dist"), **below(warm / "reports")}
    report = build(open_project(warm, locked=True), (), AGAIN)
    assert report.ok and report.states["a@cam:remeasure"] == "run"
    assert report.states["pa:gate"] == "cached"
    assert {**below(warm / "dist"), **below(warm / "reports")} == before


def test_figures_outside_their_tolerance_stop_the_package(warm: Path) -> None:
    path = warm / "modelbuild.locked/a@cam/measurements.json"
    old = lockfile.digest_of(path)
    measured: dict[str, Any] = json.loads(path.read_bytes())
    measured["fixed"]["outputs"][0]["snr_db_mean"] = 10.0
    path.write_text(lockfile.one_item_a_line(measured), "utf-8")
    edit(warm / lockfile.LOCK, old, lockfile.digest_of(path))
    assert build(open_project(warm, locked=True), ["pa"], LOCKED).ok
    report = build(open_project(warm, locked=True), ["pa"], AGAIN)
    assert report.exit_code == 1 and not (warm / "dist/pa").exists()
    (action, error), *_ = report.failures
    assert action == "a@cam:remeasure" and "snr_db_mean of scores is" in error.problems[0].what
    assert error.problems[0].where == "modelbuild.locked/a@cam/measurements.json"
    told = json.loads((warm / "reports/pa/report.json").read_bytes())
    assert told["passed"] is False
    assert [(one["stage"], one["state"]) for one in told["models"][0]["failures"]] == [
        ("remeasure", "failed")
    ]
    assert [(one["stage"], one["state"]) for one in told["failures"]] == [("locked", "skipped")]


@pytest.mark.parametrize(("key", "value"), [("cycles", 1), ("equal", False)])
def test_what_the_simulator_found_is_compared_too(warm: Path, key: str, value: object) -> None:
    path = warm / "modelbuild.locked/a@cam/measurements.json"
    old = lockfile.digest_of(path)
    measured: dict[str, Any] = json.loads(path.read_bytes())
    assert measured["hardware"][key] not in (value, None)
    measured["hardware"][key] = value
    path.write_text(lockfile.one_item_a_line(measured), "utf-8")
    edit(warm / lockfile.LOCK, old, lockfile.digest_of(path))
    assert build(open_project(warm, locked=True), ["pa"], LOCKED).ok
    report = build(open_project(warm, locked=True), ["pa"], AGAIN)
    assert report.exit_code == 1 and not (warm / "dist/pa").exists()
    (action, error), *_ = report.failures
    assert action == "pa:locked" and error.problems[0].what.startswith(f"{key} of a in the simulator is ")
    assert error.problems[0].why == f"locked is {json.dumps(value)}"


def test_measuring_again_needs_the_samples_that_were_locked(checkout: Path) -> None:
    np.save(checkout / "data/9.npy", np.zeros((1, 3, 4, 4), np.float32))
    assert refused(checkout, (), AGAIN) == ["the sample set some"]
    shutil.rmtree(checkout / "data")
    with pytest.raises(ModelbuildError, match="data"):
        build(open_project(checkout, locked=True), (), AGAIN)
    with pytest.raises(ModelbuildError, match="--remeasure is about locked"):
        build(open_project(checkout, locked=True), (), BuildOptions(remeasure=True))


def test_a_fixed_point_source_has_no_records(original: Path, tmp_path: Path) -> None:
    shutil.copy(original / "dist/pa/a.fixed.onnx", tmp_path / "m.fixed.onnx")
    write_manifest(
        tmp_path,
        "models: {m: {source: m.fixed.onnx}}\ntargets: {cam: {chip: kl720}}\n"
        "packages: {p: {target: cam, models: {m: {id: 32768}}}}\n",
    )
    report = locking.lock(open_project(tmp_path))
    assert report.written == (lockfile.LOCK,)
    before = below(tmp_path / "dist")
    shutil.rmtree(tmp_path / "dist")
    assert build(open_project(tmp_path, locked=True), (), LOCKED).ok and below(tmp_path / "dist") == before
    shutil.rmtree(tmp_path / "dist")
    shutil.rmtree(tmp_path / ".modelbuild")
    append("m.fixed.onnx")(tmp_path)
    assert refused(tmp_path) == ["the file m.fixed.onnx"]


def test_a_record_of_the_users_is_a_source(warm: Path) -> None:
    shutil.copy(warm / "modelbuild.locked/a@cam/quant.txt", warm / "mine.txt")
    edit(warm / "models.yaml", "a.onnx}", "a.onnx, targets: {cam: {quantize: {record: mine.txt}}}}")
    assert locking.lock(open_project(warm)).build.ok
    entry = lockfile.read(warm).models["a@cam"]
    assert entry.settings["quantize.record"] == "mine.txt" and "mine.txt" in entry.sources
    assert build(open_project(warm, locked=True), (), LOCKED).ok
    shutil.rmtree(warm / "dist")
    shutil.rmtree(warm / ".modelbuild")
    (warm / "mine.txt").unlink()
    assert refused(warm, ("pa",)) == ["the file mine.txt"]


def test_a_project_not_opened_from_its_lock_cannot_be_built_from_it(checkout: Path) -> None:
    with pytest.raises(ModelbuildError, match="locked=True"):
        build(open_project(checkout), (), LOCKED)
