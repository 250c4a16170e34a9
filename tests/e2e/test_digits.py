"""The example, through the real command: packages, gates, reports, and what a change rebuilds."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.e2e.command import called, files_below, modelbuild, ran
from tests.e2e.conftest import JUDGED

PACKAGES = {
    "digits-kl720": "models_720.sim.nef",
    "digits-kl520": "models_520.sim.nef",
    "digits-modalix": "digits_mpk.sim.tar.gz",
    "digits-k210": "digits.kmodel",
    "digits-cpu": "digits.kmodel",
}
SILICON = ("digits-k210", "digits-cpu")  # machine code of the vendor's; the others run in the simulator alone


def edit(folder: Path, old: str, new: str) -> None:
    """Replace text in the manifest, which must hold it."""
    path = folder / "models.yaml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def ran_actions(done_err: str) -> set[str]:
    """Names of the actions that progress lines say were run."""
    return {
        line.split(" ran ", 1)[1].split(" in ")[0]
        for line in done_err.splitlines()
        if " ran " in line and line[0] == "["
    }


def test_packages_gates_and_reports(built_once: Path) -> None:
    done = modelbuild(built_once, "build", "--json")
    assert done.code == 0
    data = done.json
    assert data["ok"] is True and data["failures"] == []
    assert {package["name"] for package in data["packages"]} == set(PACKAGES)
    for package in data["packages"]:
        assert package["gate"] == "passed" and package["silicon"] is (package["name"] in SILICON)
        names = {Path(file["path"]).name for file in package["files"]}
        record = set() if package["name"] == "digits-cpu" else {"digits.quant.txt"}
        assert names == {PACKAGES[package["name"]], "digits.json", "digits.fixed.onnx"} | record
        for file in package["files"]:
            content = (built_once / file["path"]).read_bytes()
            assert len(content) == file["size"]
            assert hashlib.sha256(content).hexdigest() == file["sha256"]
        assert (built_once / package["report"]).read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def check_bounds(folder: Path, package: str, labelled: int) -> None:
    """The report of a package tells of as many digits, and holds the example's bounds."""
    report = json.loads((folder / "reports" / package / "report.json").read_bytes())
    accuracy = report["models"][0]["fidelity"]["accuracy"]
    assert accuracy["labelled"] == labelled
    assert accuracy["float"]["top1"] >= 0.97
    assert accuracy["drop"]["top1"] <= 0.01
    outputs = report["models"][0]["fidelity"]["outputs"]
    assert all(output["snr_db"] >= 25 for output in outputs)
    assert report["models"][0]["hardware"]["equal"] is True
    assert report["passed"] is True


@pytest.mark.parametrize("package", PACKAGES)
def test_the_bounds_hold_on_few_digits(built_once: Path, package: str) -> None:
    check_bounds(built_once, package, JUDGED)


@pytest.mark.parametrize(
    "package", ["digits-kl720", *(pytest.param(name, marks=pytest.mark.long) for name in list(PACKAGES)[1:])]
)
def test_the_bounds_are_measured_on_unseen_digits(digits: Path, package: str) -> None:
    """Of the example as it is committed, as `make demo` builds it."""
    assert modelbuild(digits, "build", package).code == 0
    check_bounds(digits, package, 400)
    calibration = {p.read_bytes() for p in (digits / "data/calibration").iterdir()}
    test = {p.read_bytes() for p in (digits / "data/test").iterdir() if p.suffix == ".png"}
    assert len(test) >= 300 and not calibration & test


def test_a_second_build_does_nothing_and_says_so(built: Path) -> None:
    done = called(built, "build")
    assert done.code == 0 and "nothing to do" in done.out
    assert ran_actions(done.err) == set()


def test_touching_and_commenting_rebuild_nothing(built: Path) -> None:
    for path in [
        built / "models.yaml",
        built / "models/digits.onnx",
        *(built / "data/calibration").iterdir(),
    ]:
        os.utime(path)
    edit(built, "modelbuild: 1", "# a comment\nmodelbuild: 1")
    assert ran(called(built, "build", "--json")) == 0


def test_one_calibration_image_rebuilds_only_what_depends_on_it(built: Path) -> None:
    path = sorted((built / "data/calibration").iterdir())[0]
    pixels = np.asarray(Image.open(path)).copy()
    pixels[0, 0] ^= 1
    Image.fromarray(pixels).save(path)
    why = modelbuild(built, "why", "digits@kl720:observe")
    assert f"data/calibration/{path.name} changed from" in why.out
    done = modelbuild(built, "build")
    assert done.code == 0
    stages = {name.rsplit(":", 1)[1] for name in ran_actions(done.err)}
    assert "observe" in stages
    assert not stages & {"import_source", "normalise", "lower", "check", "evaluate"}


def test_a_range_method_runs_no_float_inference(built: Path) -> None:
    edit(built, "targets:\n  kl720: {", "targets:\n  kl720: {quantize: {range: {method: minmax}}, ")
    why = called(built, "why", "digits@kl720:quantize")
    assert "method" in why.out and "output_error" in why.out and "minmax" in why.out
    done = called(built, "build")
    assert done.code in (0, 1), done.err  # min-max may or may not hold the bound; that is not the point
    actions = ran_actions(done.err)
    assert "digits@kl720:quantize" in actions
    assert not any(name.endswith(":observe") for name in actions)
    assert not any("kl520" in name or "modalix" in name for name in actions)


def test_a_bound_measures_nothing_again(built: Path) -> None:
    edit(built, "snr_db: 25", "snr_db: 24")
    done = called(built, "build")
    assert done.code == 0
    assert {name.rsplit(":", 1)[1] for name in ran_actions(done.err)} == {"gate", "report"}
    why = called(built, "why", "digits-kl720:gate")
    assert "snr_db" in why.out and "25" in why.out and "24" in why.out


def test_a_damaged_record_fails_the_gate_and_the_report_still_appears(built: Path) -> None:
    record = (built / "dist/digits-kl720/digits.quant.txt").read_text(encoding="utf-8")
    lines = [scaled(line, 16) if line.startswith("activation ") else line for line in record.split("\n")]
    assert lines != record.split("\n")
    (built / "damaged.quant.txt").write_text("\n".join(lines), encoding="utf-8")
    edit(built, "targets:\n  kl720: {", "targets:\n  kl720: {quantize: {record: damaged.quant.txt}, ")
    (built / "reports/digits-kl720/report.html").unlink()
    done = called(built, "build", "digits-kl720", "-j", "1", "--json")
    assert done.code == 1
    package = done.json["packages"][0]
    assert package["gate"] == "failed" and package["files"] == []
    assert any("snr_db" in failure["message"] for failure in done.json["failures"])
    html = (built / "reports/digits-kl720/report.html").read_text(encoding="utf-8")
    assert "snr_db" in html
    assert not (built / "dist/digits-kl720").exists()
    assert (built / "dist/.stale/digits-kl720/models_720.sim.nef").is_file()


def scaled(line: str, factor: int) -> str:
    """A record's line with its scale, third of its columns, made `factor` times too large."""
    scale = line.split()[2]
    return line.replace(scale, repr(float(scale) * factor), 1)


def test_selectors_until_dry_run_and_set(digits: Path) -> None:
    dry = called(digits, "build", "digits@kl720", "--dry-run", "--json")
    assert dry.code == 0 and dry.json["actions"]["run"] == 0 and dry.json["actions"]["would_run"] > 5
    assert not (digits / ".modelbuild").exists()
    some = modelbuild(digits, "build", "digits@kl720", "--until", "lower", "--json")
    assert some.code == 0 and ran(some) == 3
    assert called(digits, "build", "digits-kl72O").code == 2
    wrong = called(digits, "build", "--until", "lowr")
    assert wrong.code == 2 and "did you mean `lower`" in wrong.err
    unknown = called(digits, "config", "digits@kl720", "--set", "quantize.range.methd=minmax")
    assert unknown.code == 2 and "method" in unknown.err
    config = modelbuild(digits, "config", "digits@kl720", "--set", "quantize.range.method=minmax", "--json")
    assert config.json["settings"]["quantize"]["range"]["method"] == "minmax"
    assert config.json["origins"]["accept.snr_db"].startswith("models.yaml:")


def test_clean_keeps_the_sources(built: Path) -> None:
    before = files_below(built / "data")
    (built / "reports/notes.txt").write_text("by hand", encoding="utf-8")
    assert modelbuild(built, "clean").code == 0
    assert list(files_below(built / ".modelbuild")) == ["lock"] and not (built / "dist").exists()
    assert list(files_below(built / "reports")) == ["notes.txt"]
    assert files_below(built / "data") == before
    elsewhere = built / "data"
    assert modelbuild(elsewhere, "clean").code == 2


@pytest.mark.parametrize("stage", ["status", "build"])
def test_status_runs_nothing(built: Path, stage: str) -> None:
    before = files_below(built / "dist")
    status = modelbuild(built, "status", "--json")
    assert status.code == 0 and status.json["ok"] is True
    assert files_below(built / "dist") == before
    if stage == "build":
        called(built, "build", "--until", "lower")
        assert files_below(built / "dist") == before


WITHOUT_LOCKS = """
import json, sys
sys.modules["fcntl"] = None
from modelbuild.cli.main import main
print(json.dumps([main(words) for words in json.loads(sys.argv[1])]), file=sys.stderr)
"""


def test_without_flock_the_verbs_that_the_message_names_fail_and_the_others_work(built: Path) -> None:
    nef, source = "dist/digits-kl720/models_720.sim.nef", "models/digits.onnx"
    picture = min(str(path) for path in (built / "data/test").glob("*.png"))
    builds = [
        ["build"],
        ["check"],
        ["clean"],
        ["evaluate", "digits@kl720"],
        ["run", "digits@kl720", "--input", picture],
        ["compare", "digits@kl720", "--input", picture],
    ]
    works = [
        ["build", "--dry-run"],
        ["status"],
        ["why", "digits@kl720:quantize"],
        ["config", "digits@kl720"],
        ["chips"],
        ["schema"],
        ["init", source, "--chip", "kl720", "-f", "new.yaml"],
        ["inspect", nef],
        ["evaluate", source, "--chip", "kl720"],
        ["run", nef, "--input", picture],
        ["compare", nef, "dist/digits-kl720/digits.fixed.onnx", "--input", picture],
    ]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_LOCKS, json.dumps([*builds, *works])],
        cwd=built,
        capture_output=True,
        text=True,
        check=True,
    )
    codes = json.loads(done.stderr.splitlines()[-1])
    assert codes == [1] * len(builds) + [0] * len(works), done.stderr
    assert done.stderr.count("this platform cannot build") == len(builds)
