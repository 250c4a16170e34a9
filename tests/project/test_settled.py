"""What a build rests on is known whole: any change of it is seen without loading the project."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from modelbuild import api
from modelbuild.build import look
from modelbuild.manifest.reads import reads
from modelbuild.project.build_report import BuildReport
from modelbuild.project.options import BuildOptions
from modelbuild.project.project import open_project
from modelbuild.project.settled import unchanged
from tests.e2e.command import REPOSITORY
from tests.project.small_project import write_model, write_samples

MANIFEST = """\
modelbuild: 1
include: parts/*.yaml
samples:
  some: {files: "data/**/*.npy", labels: data/labels.txt}
  spare: {files: spare}
defaults: {calibration: {set: some, count: 2}}
models: {a: {source: a.onnx}}
targets: {cam: {chip: chips/mine.yaml}}
packages: {pa: {target: cam, models: {a: {id: 32768}}}}
"""
INCLUDED = "models: {b: {source: b.onnx}}\npackages: {pb: {target: cam, models: {b: {id: 32769}}}}\n"


def write(folder: Path) -> None:
    """A project with an include, a recipe of its own that extends another, labels, and a set nobody uses."""
    for name, seed in (("a", 1), ("b", 2)):
        write_model(folder / f"{name}.onnx", seed)
    write_samples(folder / "data/one", 2)
    write_samples(folder / "spare", 1)
    (folder / "data/labels.txt").write_text("one/0.npy 0\none/1.npy 1\n")
    (folder / "parts").mkdir()
    (folder / "parts/b.yaml").write_text(INCLUDED)
    (folder / "chips").mkdir()
    (folder / "chips/mine.yaml").write_text("chip: mine\nextends: base.yaml\n")
    (folder / "chips/base.yaml").write_text("chip: base\nextends: kl720\n")
    (folder / "models.yaml").write_text(MANIFEST)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The record of an installed library, in a folder of its own among those that are searched."""
    folder = tmp_path_factory.mktemp("site")
    record = folder / "some_library-1.0.dist-info"
    record.mkdir()
    sys.path.append(str(folder))
    yield record
    sys.path.remove(str(folder))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, library: Path) -> Path:
    """A project, built and remembered. Who changes it puts it back."""
    folder = tmp_path_factory.mktemp("settled") / "project"
    folder.mkdir()
    write(folder)
    settle(folder)
    return folder


def settle(folder: Path) -> None:
    """Builds until the build is remembered: not before its files lay there a moment when they were read."""
    for _ in range(100):
        assert api.build(open_project(folder), (), BuildOptions(jobs=1)).ok
        if asked(folder) is not None:
            return
    raise AssertionError("no build of this project is remembered")


def asked(folder: Path, *names: str, **more: object) -> BuildReport | None:
    return unchanged(folder, "models.yaml", names, **more)  # type: ignore[arg-type]


@contextmanager
def changed(path: Path, data: bytes | None) -> Iterator[None]:
    """The file with other bytes and the same times, or without the file."""
    before, found = path.read_bytes(), path.stat()
    path.chmod(0o644)
    if data is None:
        path.unlink()
    else:
        path.write_bytes(data)
        os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    try:
        yield
    finally:
        path.write_bytes(before)


def test_a_look_that_renews_nothing_writes_nothing(built: Path) -> None:
    """A file written anew with the same bytes is read; what was found of it is not kept."""

    def state() -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in (built / ".modelbuild/settled").iterdir()}

    model = next(built.glob("*.onnx"))
    data = model.read_bytes()
    model.unlink()
    model.write_bytes(data)
    before = state()
    for _ in range(100):  # not before it lay there a moment
        assert asked(built, renews=False) is not None and state() == before
        if asked(built) is not None and state() != before:
            return
    raise AssertionError("the other look keeps nothing either")


def test_another_time_for_archives_is_another_request(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    assert asked(built) is None
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "")
    assert asked(built) is not None


def test_the_report_is_that_of_a_build_with_nothing_to_do(built: Path) -> None:
    found = asked(built)
    again = api.build(open_project(built), (), BuildOptions(jobs=1))
    assert found == again and found.ok
    assert set(found.states.values()) == {"cached"}
    assert found.to_json() == again.to_json() and len(found.packages) == 2
    assert list(found.warnings) == [one.to_json() for one in open_project(built).manifest.warnings]


FLIPPED = [
    "models.yaml",
    "parts/b.yaml",
    "chips/mine.yaml",
    "chips/base.yaml",
    "data/labels.txt",
    "data/one/0.npy",
    "spare/0.npy",
    "a.onnx",
    "dist/pa/a.json",
    "reports/pb/report.html",
    ".modelbuild/published.json",
]


@pytest.mark.parametrize("path", FLIPPED)
def test_other_bytes_of_the_same_size_and_times_are_a_change(built: Path, path: str) -> None:
    data = (built / path).read_bytes()
    with changed(built / path, bytes([data[0] ^ 1]) + data[1:]):
        assert asked(built) is None
    assert asked(built) is not None, "the bytes are what they were"


@pytest.mark.parametrize("path", FLIPPED)
def test_a_file_that_is_gone_is_a_change(built: Path, path: str) -> None:
    with changed(built / path, None):
        assert asked(built) is None
    assert asked(built) is not None


@pytest.mark.parametrize("what", ["store/blobs", "records"])
def test_a_damaged_or_lost_result_is_a_change(built: Path, what: str) -> None:
    listed = sorted(path for path in (built / ".modelbuild" / what).rglob("*") if path.is_file())
    used = [path for path in listed if path.stat().st_size][:: max(1, len(listed) // 7)]
    for path in used:
        data = path.read_bytes()
        for other in (bytes([data[0] ^ 1]) + data[1:], data[:-1], None):
            with changed(path, other):
                assert asked(built) is None
    assert asked(built) is not None


@pytest.mark.parametrize(
    "path",
    [
        "data/one/2.npy",
        "data/one/deep/0.npy",
        "data/new/3.npy",
        "parts/c.yaml",
        "spare/1.npy",
        "dist/pa/more.txt",
        "reports/pa/more.txt",
    ],
)
def test_a_file_that_a_pattern_may_match_or_that_nobody_made_is_a_change(built: Path, path: str) -> None:
    new = built / path
    made = not new.parent.exists()
    new.parent.mkdir(exist_ok=True)
    new.write_bytes(b"")
    assert asked(built) is None
    new.unlink()
    if made:
        new.parent.rmdir()
    assert asked(built) is not None


def test_what_a_link_among_the_samples_leads_to_counts(built: Path, tmp_path: Path) -> None:
    target = tmp_path / "target.npy"
    target.write_bytes((built / "spare/0.npy").read_bytes())
    (built / "spare/link.npy").symlink_to(target)
    settle(built)
    assert asked(built) is not None
    for data in (b"version https://git-lfs.github.com/spec/v1", None):
        with changed(target, data):
            assert asked(built) is None
        assert asked(built) is not None
    (built / "spare/link.npy").unlink()
    settle(built)


def test_another_request_is_another_matter(built: Path) -> None:
    assert asked(built) is not None
    assert asked(built, "pa") is None
    assert asked(built, overrides=["optimize.skip=[]"]) is None
    assert asked(built, options=BuildOptions(until="lower")) is None
    assert asked(built, options=BuildOptions(locked=True)) is None
    assert asked(built, options=BuildOptions(dry_run=True)) is None
    assert asked(built, options=BuildOptions(jobs=1, memory=10**9, keep_going=True, offline=True)) is not None
    assert unchanged(built, "other.yaml") is None and unchanged(built / "none", "models.yaml") is None


@pytest.mark.parametrize(
    ("names", "overrides", "until", "packages"),
    [(("pa",), (), None, 1), ((), ("optimize.skip=[]",), None, 2), ((), (), "lower", 0)],
)
def test_each_request_has_its_own(
    built: Path, names: tuple[str, ...], overrides: tuple[str, ...], until: str | None, packages: int
) -> None:
    options = BuildOptions(jobs=1, until=until)
    assert api.build(open_project(built, overrides=overrides), names, options).ok
    found = asked(built, *names, overrides=overrides, options=options)
    assert found is not None and len(found.packages) == packages
    assert asked(built) is not None


def test_another_version_of_a_library_is_a_change(built: Path, library: Path) -> None:
    newer = library.rename(library.with_name("some_library-1.1.dist-info"))
    assert asked(built) is None
    newer.rename(library)
    assert asked(built) is not None
    (library.parent / "unrelated.py").write_text("")
    assert asked(built) is not None
    sys.path.append(str(library))  # libraries would be searched for in another place, too
    assert asked(built) is None
    sys.path.remove(str(library))


def test_a_file_touched_or_linked_anew_is_no_change(built: Path) -> None:
    for path in ("models.yaml", "a.onnx", "data/one/0.npy", "dist/pa/a.json"):
        (built / path).touch()
        copy = built / f"{path}.copy"
        copy.write_bytes((built / path).read_bytes())
        copy.replace(built / path)
    assert asked(built) is not None


def test_a_comment_in_the_manifest_runs_nothing(built: Path) -> None:
    path = built / "models.yaml"
    with changed(path, b"# a comment\n" + path.read_bytes()):
        assert asked(built) is None
        report = api.build(open_project(built), (), BuildOptions(jobs=1))
        assert set(report.states.values()) == {"cached"} and not any(one.changed for one in report.packages)
    settle(built)


def test_modelbuilds_own_files_are_among_what_is_looked_at(built: Path) -> None:
    """A changed stage, recipe or template is a change of what is built."""
    found = reads(open_project(built).manifest, None)
    for folder in (REPOSITORY / "modelbuild", REPOSITORY / "recipes", REPOSITORY / "templates"):
        for path in folder.rglob("*"):
            if "__pycache__" not in path.parts:
                assert found[str(path)] == (look.FOLDER if path.is_dir() else look.FILE)


OPENED = """
import json, os, sys
from pathlib import Path
from modelbuild.project.project import open_project
import modelbuild.manifest.reads
seen = set()
def note(event, arguments):
    if event in ("open", "os.listdir", "os.scandir") and isinstance(arguments[0], (str, bytes, os.PathLike)):
        seen.add(os.path.abspath(os.fsdecode(arguments[0])))
    elif event in ("subprocess.Popen", "os.exec", "os.posix_spawn", "os.fork", "socket.connect"):
        seen.add(f"{event} {arguments}")
folder = Path(sys.argv[1])
sys.addaudithook(note)
project = open_project(folder)
opened = set(seen)
print(json.dumps([sorted(opened), modelbuild.manifest.reads.reads(project.manifest, None)]))
"""


def test_all_that_loading_and_planning_open_is_looked_at(built: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", OPENED, str(built)],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    opened, looked_at = json.loads(done.stdout)
    pythons = (sys.prefix, sys.base_prefix, os.path.realpath(sys.base_prefix))
    installed = {path for path, code in looked_at.items() if code == look.INSTALLED}
    for path in opened:
        if path not in looked_at and path not in installed:
            assert "__pycache__" in path or path.startswith(pythons), path
    assert str(built / "models.yaml") in opened and str(built / "data/one/0.npy") in opened
