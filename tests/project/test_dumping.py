"""`build --dump`: what lies where, what is refused, and that it is replaced as a whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelbuild import api
from modelbuild.errors import ModelbuildError
from modelbuild.project.dumping import MARK
from modelbuild.project.options import BuildOptions
from modelbuild.project.project import Project, open_project
from tests.project.small_project import write_manifest, write_model, write_samples

MANIFEST = """
samples: {numbers: {files: samples/*.npy}}
models: {net: {source: net.onnx, calibration: numbers}}
targets: {cam: {chip: kl720}, gate: {chip: modalix}}
packages: {bell: {target: cam, models: {net: {id: 32768}}}, door: {target: gate}}
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    folder = tmp_path / "project"
    write_model(folder / "net.onnx")
    write_samples(folder / "samples")
    write_manifest(folder, MANIFEST)
    return open_project(folder)


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def test_each_stage_lies_under_its_model_or_package(project: Project, tmp_path: Path) -> None:
    assert api.build(project, ["bell"]).ok
    api.dump(project, ["bell"], None, tmp_path / "out")
    found = files(tmp_path / "out")
    stages = {name.rsplit("/", 1)[0] for name in found if name.startswith("net@cam/")}
    assert stages == {
        f"net@cam/{stage}"
        for stage in (
            *("import_source", "normalise", "lower", "check", "evaluate", "observe", "quantize", "apply"),
            *("verify_fixed", "compile", "check_calibration", "check_result"),
        )
    }
    assert {"bell/gate/gate.json", "bell/verify_hardware/net/hardware.json"} <= set(found)
    assert "bell/package/files/models_720.sim.nef" in found
    shipped = project.root / "dist/bell"
    assert found["bell/package/files/models_720.sim.nef"] == (shipped / "models_720.sim.nef").read_bytes()
    assert found["net@cam/apply/model.fixed.onnx"] == (shipped / "net.fixed.onnx").read_bytes()
    assert not any(name.startswith(("net@gate", "door")) for name in found)


def test_the_program_can_be_read(project: Project, tmp_path: Path) -> None:
    assert api.build(project, ["net@cam"], BuildOptions(until="compile")).ok
    api.dump(project, ["net@cam"], "compile", tmp_path / "out")
    folder = tmp_path / "out/net@cam/compile"
    tiles = (folder / "tiles.txt").read_text(encoding="utf-8").splitlines()
    assert tiles[0].startswith("layer 0  ; conv (conv) on the npu: 1 tile, ")
    assert tiles[1].startswith("  tile 0: convolution ")
    program = (folder / "program.txt").read_text(encoding="utf-8").splitlines()
    assert program[0] == "layer 0  ; conv (conv)" and program[-1] == "  end"


def test_a_stage_that_all_targets_share_lies_under_each(project: Project, tmp_path: Path) -> None:
    assert api.build(project).ok
    api.dump(project, [], None, tmp_path / "out")
    found = files(tmp_path / "out")
    assert found["net@cam/normalise/model.onnx"] == found["net@gate/normalise/model.onnx"]


def test_a_failure_is_told_where_its_files_would_be(project: Project, tmp_path: Path) -> None:
    write_manifest(
        project.root, MANIFEST.replace("calibration: numbers", "calibration: numbers, accept: {snr_db: 300}")
    )
    strict = open_project(project.root)
    report = api.build(strict, ["bell"])
    assert not report.ok
    api.dump(strict, ["bell"], None, tmp_path / "out", dict(report.failures))
    found = files(tmp_path / "out")
    assert b"the bound is at least 300" in found["bell/gate/failure.txt"]
    assert "bell/gate/gate.json" not in found and "bell/package/package.json" in found


def test_it_is_replaced_as_a_whole_and_enters_no_key(project: Project, tmp_path: Path) -> None:
    assert api.build(project, ["bell"]).ok
    api.dump(project, ["bell"], None, tmp_path / "out")
    first = files(tmp_path / "out")
    (tmp_path / "out/net@cam/lower/model.onnx").write_bytes(b"edited")
    (tmp_path / "out/net@cam/lower/lower.json").unlink(missing_ok=True)
    assert api.build(open_project(project.root), ["bell"]).count("run") == 0
    api.dump(project, ["bell"], None, tmp_path / "out")
    assert files(tmp_path / "out") == first
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "project"]


def test_an_empty_folder_will_do_and_somebodys_files_stay(project: Project, tmp_path: Path) -> None:
    assert api.build(project, ["net@cam"], BuildOptions(until="lower")).ok
    (tmp_path / "empty").mkdir()
    api.dump(project, ["net@cam"], "lower", tmp_path / "empty")
    assert (tmp_path / "empty" / MARK).is_file()
    before = files(project.root)
    with pytest.raises(ModelbuildError, match="holds other files"):
        api.dump(project, ["net@cam"], "lower", project.root)
    (tmp_path / "file").write_bytes(b"mine")
    with pytest.raises(ModelbuildError, match="cannot use this folder"):
        api.dump(project, ["net@cam"], "lower", tmp_path / "file")
    assert files(project.root) == before and (tmp_path / "file").read_bytes() == b"mine"


def test_somebodys_files_in_an_earlier_dump_stay(project: Project, tmp_path: Path) -> None:
    assert api.build(project, ["net@cam"], BuildOptions(until="lower")).ok
    for index, name in enumerate(("mine.txt", "net@cam/lower/mine.txt", "mine/deep/x", "link", "empty/")):
        out = tmp_path / f"out{index}"
        api.dump(project, ["net@cam"], "lower", out)
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        if name == "link":
            (out / name).symlink_to(project.root)
        elif name == "empty/":
            (out / name).mkdir()
        else:
            (out / name).write_bytes(b"precious")
        before = files(out)
        with pytest.raises(ModelbuildError, match=f"no --dump has written {name}") as caught:
            api.dump(project, ["net@cam"], "lower", out)
        assert caught.value.exit_code == 2 and caught.value.problems[0].advice
        assert files(out) == before and (out / name).exists()


@pytest.mark.parametrize("inside", ["dist", "dist/bell", "reports/x", ".modelbuild/dump"])
def test_never_among_what_builds_keep(project: Project, inside: str) -> None:
    with pytest.raises(ModelbuildError, match="the build's own") as caught:
        api.dump(project, [], None, project.root / inside)
    assert caught.value.exit_code == 2


def test_a_disk_that_refuses_leaves_the_old_dump(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert api.build(project, ["net@cam"], BuildOptions(until="lower")).ok
    api.dump(project, ["net@cam"], "lower", tmp_path / "out")
    first = files(tmp_path / "out")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copyfile", full)
    with pytest.raises(ModelbuildError, match="cannot write the dump") as caught:
        api.dump(project, ["net@cam"], "lower", tmp_path / "out")
    assert caught.value.exit_code == 1
    assert files(tmp_path / "out") == first
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "project"]


@pytest.mark.parametrize("exchanges", [True, False])
def test_the_old_dump_is_never_away(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exchanges: bool
) -> None:
    """It stays, or is back, where the new one cannot be put in its place."""
    assert api.build(project, ["net@cam"], BuildOptions(until="lower")).ok
    api.dump(project, ["net@cam"], "lower", tmp_path / "out")
    (tmp_path / "out/net@cam/lower/model.onnx").write_bytes(b"of the first")
    replace = Path.replace

    def refuse(path: Path, target: Path) -> Path:
        if path.name == ".out.new" or exchanges:
            raise OSError(5, "Input/output error")
        return replace(path, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", refuse)
        if exchanges:
            api.dump(project, ["net@cam"], "lower", tmp_path / "out")
        else:
            patched.setattr("modelbuild.build.disk.exchange", lambda *_: False)
            with pytest.raises(ModelbuildError, match="cannot write the dump"):
                api.dump(project, ["net@cam"], "lower", tmp_path / "out")
    left = (tmp_path / "out/net@cam/lower/model.onnx").read_bytes()
    assert (left == b"of the first") is not exchanges
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "project"]


def test_a_link_to_the_folder_stays_one(project: Project, tmp_path: Path) -> None:
    assert api.build(project, ["net@cam"], BuildOptions(until="lower")).ok
    (tmp_path / "disk/dump").mkdir(parents=True)
    (tmp_path / "out").symlink_to("disk/dump")
    for _ in range(2):
        api.dump(project, ["net@cam"], "lower", tmp_path / "out")
    assert (tmp_path / "out").is_symlink() and (tmp_path / "disk/dump" / MARK).is_file()
    assert [path.name for path in (tmp_path / "disk").iterdir()] == ["dump"]
