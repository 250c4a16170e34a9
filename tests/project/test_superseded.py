"""What lies in `dist/`: products of the manifest as it is, nothing touched that no build has made."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelbuild.build.result import Event
from modelbuild.cli.summary import summary
from modelbuild.errors import ModelbuildError
from modelbuild.project.build_report import BuildReport
from modelbuild.project.building import build, clean
from modelbuild.project.options import BuildOptions
from modelbuild.project.project import open_project
from tests.project.small_project import write_manifest, write_model, write_samples

HEAD = """\
samples: {some: {files: "data/*.npy"}}
defaults: {calibration: some}
models: {a: {source: a.onnx}, b: {source: b.onnx}}
targets: {cam: {chip: kl720}}
"""
PA, PB, PC = (f"  p{name}: {{target: cam, models: {{{name}: {{id: 32768}}}}}}\n" for name in ("a", "b", "b"))
PC = PC.replace("pb", "pc")


def write(folder: Path, packages: str, file: str = "models.yaml") -> None:
    write_manifest(folder, f"{HEAD}packages:\n{packages}")
    (folder / "models.yaml").rename(folder / file)


def built(folder: Path, *names: str, file: str = "models.yaml") -> BuildReport:
    report = build(open_project(folder, file), names, BuildOptions(jobs=1))
    assert report.ok, report.failures
    return report


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for seed, name in enumerate("ab"):
        write_model(tmp_path / f"{name}.onnx", seed)
    write_samples(tmp_path / "data")
    write(tmp_path, PA + PB)
    return tmp_path


def listed(folder: Path, top: str = "dist") -> set[str]:
    return {path.relative_to(folder / top).parts[0] for path in (folder / top).iterdir()}


def test_a_package_that_is_renamed_is_put_aside_under_its_old_name(folder: Path) -> None:
    assert built(folder).withdrawn == ()
    old = (folder / "dist/pb/b.json").read_bytes()
    (folder / "dist/mine").mkdir()
    (folder / "dist/notes.txt").write_text("mine")
    write(folder, PA + PC)
    report = built(folder)
    assert report.withdrawn == ("dist/pb", "reports/pb")
    assert report.to_json()["withdrawn"] == ["dist/pb", "reports/pb"]
    assert "moved dist/pb to .stale beside it: no package has that name now" in summary(report)
    assert listed(folder) == {"pa", "pc", ".stale", "mine", "notes.txt"}
    assert listed(folder, "reports") == {"pa", "pc", ".stale"}
    assert (folder / "dist/.stale/pb/b.json").read_bytes() == old
    assert built(folder).withdrawn == ()
    write(folder, PA + PB)
    assert built(folder).withdrawn == ("dist/pc", "reports/pc")
    assert (folder / "dist/pb/b.json").read_bytes() == old
    clean(folder)
    assert listed(folder) == {"mine", "notes.txt"} and not (folder / "reports").exists()


def test_a_build_of_some_puts_nothing_aside(folder: Path) -> None:
    built(folder)
    write(folder, PA)
    assert built(folder, "pa").withdrawn == ()
    dry = build(open_project(folder), (), BuildOptions(dry_run=True))
    assert dry.withdrawn == () and listed(folder) == {"pa", "pb"}
    assert built(folder).withdrawn == ("dist/pb", "reports/pb")


def test_another_manifest_in_the_folder_keeps_its_packages(folder: Path) -> None:
    write(folder, PA, "one.yaml")
    write(folder, PB, "two.yaml")
    built(folder, file="one.yaml")
    assert built(folder, file="two.yaml").withdrawn == ()
    assert built(folder, file="one.yaml").withdrawn == ()
    assert listed(folder) == {"pa", "pb"}


def test_a_folder_that_no_build_has_made_stays_whatever_its_name(folder: Path) -> None:
    built(folder)
    write(folder, PA)
    assert built(folder).withdrawn == ("dist/pb", "reports/pb")
    (folder / "dist/pb").mkdir()
    (folder / "dist/pb/x").write_text("mine")
    assert built(folder).withdrawn == ()
    assert (folder / "dist/pb/x").read_text() == "mine"


@pytest.mark.parametrize("what", ["a file", "a link to nothing", "a link"])
@pytest.mark.parametrize("place", ["dist", "dist/pa", "reports"])
def test_what_is_in_the_way_of_a_product_is_told_before_anything_runs(
    folder: Path, place: str, what: str
) -> None:
    path = folder / place
    path.parent.mkdir(exist_ok=True)
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    if what == "a file":
        path.write_text("mine")
    else:
        path.symlink_to(elsewhere if what == "a link" else "nowhere")
    if what == "a link" and "/" not in place:  # products may lie on another disk
        built(folder)
        assert {one.name for one in elsewhere.iterdir()} == {"pa", "pb"}
        return
    started: list[str] = []
    with pytest.raises(ModelbuildError) as caught:
        build(open_project(folder), (), BuildOptions(jobs=1), lambda event: started.append(event.kind))
    assert f"{path} is {what}, so pa cannot be put there" in str(caught.value)
    assert "move it away" in str(caught.value) and caught.value.exit_code == 1
    assert started == [] and list(elsewhere.iterdir()) == []


def test_two_manifests_cannot_have_one_package(folder: Path) -> None:
    built(folder)
    before = {path: path.read_bytes() for path in (folder / "dist").rglob("*") if path.is_file()}
    write(folder, PA.replace("32768", "40000") + PC, "other.yaml")
    write(folder, PA + PB)
    seen: list[Event] = []
    with pytest.raises(ModelbuildError) as caught:
        build(open_project(folder, "other.yaml"), (), BuildOptions(jobs=1), seen.append)
    assert caught.value.exit_code == 2 and not seen
    text = str(caught.value)
    assert "dist/pa was made from models.yaml, which has a package of that name, too" in text
    assert "other.yaml:" in text and "rename it in one" in text and "pc" not in text
    (folder / "models.yaml").write_text("broken: [")  # it may have it still
    with pytest.raises(ModelbuildError, match=r"dist/pa was made from models\.yaml"):
        build(open_project(folder, "other.yaml"))
    assert {path: path.read_bytes() for path in (folder / "dist").rglob("*") if path.is_file()} == before
    assert built(folder, "pc", "b@cam", file="other.yaml").taken_over == ()
    until = BuildOptions(jobs=1, until="lower")  # puts nothing into dist/
    assert build(open_project(folder, "other.yaml"), (), until).ok


@pytest.mark.parametrize("now", ["gone", "without it"])
def test_a_package_that_another_manifest_has_no_longer_is_taken_over(folder: Path, now: str) -> None:
    built(folder, "pa")
    write(folder, PA.replace("32768", "40000"), "other.yaml")
    if now == "without it":
        write(folder, PB)
    report = built(folder, file="other.yaml")
    assert report.taken_over == ("dist/pa was models.yaml's", "reports/pa was models.yaml's")
    said = "dist/pa was models.yaml's, which has no such package now: it is this manifest's"
    assert said in summary(report).splitlines()
    assert built(folder, file="other.yaml").taken_over == ()
    if now == "without it":
        assert built(folder).withdrawn == () and "pa" in listed(folder)
