"""Archives from the command line: what is shown, what is refused, and the time of members."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from modelbuild.formats import mpk, tar
from tests.e2e.command import called, modelbuild
from tests.formats import archive_sources, mpk_sources
from tests.project import small_project

VARIABLE = "SOURCE_DATE_EPOCH"


def test_an_archive_that_breaks_a_rule_is_shown_and_not_run(tmp_path: Path) -> None:
    files = {member.name: member.data for member in tar.read(mpk.build(mpk_sources.source()))}
    (tmp_path / "evil_mpk.tar.gz").write_bytes(archive_sources.files_tarred({**files, "../up.json": b"{}"}))
    shown = called(tmp_path, "inspect", "evil_mpk.tar.gz", "--json")
    assert shown.code == 1
    assert [check["what"] for check in shown.json["checks"] if not check["ok"]] == [
        "no path out of the folder"
    ]
    assert "digits_stage1_mla.elf" in {member["name"] for member in shown.json["members"]}
    refused = called(tmp_path, "run", "evil_mpk.tar.gz", "--input", "x.npy")
    assert refused.code == 2 and "leaves its folder" in refused.err
    assert not (tmp_path.parent / "up.json").exists()


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.tar.gz", tar.write({"a": b"1"})),
        ("a.tar", archive_sources.files_tarred({"a": b"1"}, packing="w")),
        ("a.zip", archive_sources.zipped({"a": b"1"})),
        ("a.sima", archive_sources.sima()),
        ("a.fp32.sima", archive_sources.sima()),
        ("a.bie", hashlib.shake_256(b"a").digest(8192)),
        ("a_mpk.sim.tar.gz", mpk.build(mpk_sources.source())),
    ],
)
def test_every_kind_is_an_object(name: str, data: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(data)
    done = called(tmp_path, "inspect", name)
    assert done.code == 0, done.err
    assert "format: " in done.out and not done.err


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package of each container."""
    folder = tmp_path_factory.mktemp("times")
    for name in ("a", "b"):
        small_project.write_model(folder / f"{name}.onnx")
    small_project.write_samples(folder / "data")
    small_project.write_manifest(folder, small_project.PAIR)
    return folder


def test_members_have_the_time_that_is_asked_for(project: Path) -> None:
    def built(time: str) -> tuple[dict[str, int], frozenset[int | None]]:
        done = modelbuild(project, "build", "--json", environment={VARIABLE: time})
        assert done.code == 0, done.err
        [path] = (project / "dist").rglob("*_mpk.sim.tar.gz")
        return done.json["actions"], tar.survey(path.read_bytes()).times

    assert built("")[1] == {0}
    again, times = built("1700000000")
    assert times == {1_700_000_000}
    assert again["run"] and again["cached"] > again["run"], "only what the archive is part of"
    assert built("1700000000")[0]["run"] == 0
    assert built("0") == built("")


def test_our_own_package_tells_its_clock(project: Path) -> None:
    assert called(project, "build", "-q").code == 0
    [path] = (project / "dist").rglob("*_mpk.sim.tar.gz")
    timing = called(project, "inspect", str(path), "--json").json["timing"]
    assert timing["fps"] == pytest.approx(timing["clock_hz"] / timing["cycles"])
    assert timing["assumed"].startswith("the clock of modalix's recipe")


@pytest.mark.parametrize("told", ["yesterday", "-1"])
def test_what_is_no_time_is_named(project: Path, told: str) -> None:
    done = modelbuild(project, "build", environment={VARIABLE: told})
    assert done.code == 2 and VARIABLE in done.err
