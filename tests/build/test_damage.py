"""Whatever befalls the state's files is noticed, set aside and made anew: the same bytes come out."""

from __future__ import annotations

import errno
import os
import random
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from build_harness import Project, action

from modelbuild.build import canonical, clock
from modelbuild.build.build import Builder
from modelbuild.build.result import BuildResult

ACTIONS = [
    action("a", inputs={"x": "a.txt"}),
    action("c", "read_all", inputs={"x": "list.txt"}, discover="stages_for_tests:named_files"),
    action("d", "upper", inputs={"x": "@a", "y": "@c"}),
    action("f", "fail_if_bad", inputs={"x": "f.txt"}),
    action("s", "several"),
    action("report", soft={"d": "@d", "f": "@f"}, always=True),
]
STATES = {**dict.fromkeys(["a", "c", "d", "s", "report"], "cached"), "f": "failed"}
HANG_SECONDS = 120


@pytest.fixture(autouse=True)
def no_hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A read that waits for a fifo's writer ends the test; rows of young files are written all the same."""
    monkeypatch.setattr(clock, "GRANULARITY_NS", -(10**18))
    monkeypatch.setattr(clock, "COARSE_NS", -(10**18))
    before = signal.signal(signal.SIGALRM, lambda number, frame: pytest.fail("the build hangs"))
    signal.alarm(HANG_SECONDS)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def built(project: Project) -> Project:
    for name, text in {"a.txt": "a", "list.txt": "use n.txt", "n.txt": "n", "f.txt": "BAD"}.items():
        project.write(name, text)
    everything(project)
    return project


def everything(project: Project) -> BuildResult:
    """A build, its products, and another, so that all files of the state are there."""
    with project.builder.hold():
        result = project.build(ACTIONS, keep_going=True)
        project.builder.publish({"m.nef": result.outputs["d"]["text"]}, Path("dist/p"))
    return result


def contents(project: Project, result: BuildResult) -> dict[tuple[str, str], bytes]:
    return {
        (name, output): project.builder.output(result, name, output).read_bytes()
        for name, outputs in result.outputs.items()
        for output in outputs
    }


def files(project: Project) -> list[Path]:
    """The files of the state that hold something, in an order that is the same each time."""
    found = sorted(path for path in project.state.rglob("*") if path.is_file() and path.stat().st_size)
    return sorted(found, key=lambda path: (path.parent.name, path.stat().st_size, path.name))


def heals(project: Project, damage: Callable[[], object]) -> None:
    """After the damage a look and a build end well with the same bytes, and a third build is idle."""
    before = contents(project, everything(project))
    damage()
    project.builder.status(ACTIONS, [one.name for one in ACTIONS])
    project.builder.why(ACTIONS, "d")
    result = everything(project)
    assert contents(project, result) == before
    assert [name for name, _ in result.failures] == ["f"]
    assert "the data is bad" in str(project.failure(result, "f"))
    assert (project.root / "dist/p/m.nef").read_bytes() == before["d", "text"]
    project.ran()
    again = everything(project)
    assert again.states == STATES and contents(project, again) == before
    assert project.ran() == []


def cut(path: Path, length: int) -> None:
    path.chmod(0o644)
    os.truncate(path, length)


def flip(path: Path, dice: random.Random) -> None:
    data = bytearray(path.read_bytes())
    for _ in range(dice.randint(1, 3)):
        data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
    path.chmod(0o644)
    path.write_bytes(data)


def lengths(step: int) -> list[int]:
    return list(range(0, 1500, step))


@pytest.mark.parametrize("length", lengths(400))
def test_every_file_cut_short(built: Project, length: int) -> None:
    heals(built, lambda: [cut(path, length) for path in files(built) if path.stat().st_size > length])


@pytest.mark.long
def test_every_file_cut_at_every_length(built: Project) -> None:
    for length in lengths(1):
        signal.alarm(HANG_SECONDS)
        heals(built, lambda at=length: [cut(path, at) for path in files(built) if path.stat().st_size > at])


@pytest.mark.long
def test_each_file_cut_alone(built: Project) -> None:
    for index, path in enumerate(files(built)):
        for length in {0, 1, path.stat().st_size // 2, path.stat().st_size - 1}:
            signal.alarm(HANG_SECONDS)
            heals(built, lambda at=length, which=index: cut(files(built)[which], at))


DAMAGES: dict[str, Callable[[Path, random.Random], object]] = {
    "cut": lambda path, dice: cut(path, dice.randrange(path.stat().st_size)),
    "bits": flip,
    "deleted": lambda path, dice: path.unlink(),
    "folder": lambda path, dice: (path.unlink(), path.mkdir(), (path / "x").write_text("x")),
    "link": lambda path, dice: (path.unlink(), path.symlink_to("nowhere")),
    "ring of links": lambda path, dice: (path.unlink(), path.symlink_to(path.name)),
    "fifo": lambda path, dice: (path.unlink(), os.mkfifo(path)),
    "another's": lambda path, dice: (path.unlink(), shutil.copy("/etc/passwd", path)),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_all_files_damaged_in_one_way(built: Project, damage: str) -> None:
    dice = random.Random(damage)
    heals(built, lambda: [DAMAGES[damage](path, dice) for path in files(built) if path.name != "lock"])


def damage_some(project: Project, dice: random.Random) -> None:
    found = [path for path in files(project) if path.name != "lock"]
    for path in dice.sample(found, dice.randint(1, len(found))):
        if path.is_file():  # what was set aside may be a link to a file that is another thing by now
            DAMAGES[dice.choice(list(DAMAGES))](path, dice)


@pytest.mark.parametrize("seed", range(3))
def test_files_damaged_at_random(built: Project, seed: int) -> None:
    heals(built, lambda: damage_some(built, random.Random(seed)))


@pytest.mark.long
def test_files_damaged_at_random_often(built: Project) -> None:
    for seed in range(3, 300):
        signal.alarm(HANG_SECONDS)
        heals(built, lambda number=seed: damage_some(built, random.Random(number)))


def alter_unseen(path: Path) -> None:
    """Other bytes of the same number, and the old time of modification."""
    before = path.stat()
    path.chmod(0o644)
    while path.stat().st_ctime_ns == before.st_ctime_ns:  # a tick of the kernel's clock
        path.write_bytes(bytes(byte ^ 1 for byte in path.read_bytes()))
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    path.write_bytes(path.read_bytes()[:-1] + b"\xff")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)


def test_a_blob_altered_under_its_old_size_and_time(built: Project) -> None:
    heals(built, lambda: [alter_unseen(path) for path in built.blobs() if path.stat().st_size])


def test_a_blob_that_is_a_link_to_the_right_bytes_serves(built: Project, tmp_path: Path) -> None:
    """A store that was moved to a larger disk, file by file, is still right."""
    for index, path in enumerate(built.blobs()):
        path.rename(tmp_path / f"blob-{index}")
        path.symlink_to(tmp_path / f"blob-{index}")
    assert everything(built).states == STATES


@pytest.mark.parametrize("what", ["removed", "a file", "a link to nothing"])
@pytest.mark.parametrize("folders", [["store", "records", "work", "logs"], ["records/*", "store/blobs/*"]])
def test_folders_of_the_state_are_gone(built: Project, folders: list[str], what: str) -> None:
    def damage() -> None:
        for path in sorted(path for folder in folders for path in built.state.glob(folder)):
            shutil.rmtree(path)
            if what == "a file":
                path.write_text("in the way")
            elif what == "a link to nothing":
                path.symlink_to("nowhere")

    heals(built, damage)


def test_all_of_the_state_is_gone(built: Project) -> None:
    heals(built, lambda: shutil.rmtree(built.state))


@pytest.mark.parametrize("how", ["remove", "alter"])
def test_a_blob_that_is_spoilt_while_it_is_read_leaves_no_verdict(project: Project, how: str) -> None:
    """Neither a failure nor a result is kept of what the wrong bytes led to."""
    spoil = project.root.parent / "spoil"
    environment = {**project.environment, "TEST_SPOIL": str(spoil)}
    project.builder = Builder(project.root, environment=environment)
    reader = action("reader", "read", inputs={"made": "@a"})
    actions = [action("a", parameters={"text": "a"}), reader._replace(function="stages_of_damage:read")]
    spoil.write_text(how)
    error = project.failure(project.build(actions), "reader")
    assert "was damaged or removed while reader was reading it" in str(error) and error.exit_code == 1
    assert "build again" in str(error)
    spoil.unlink()
    result = project.build(actions)
    assert result.states == {"a": "run", "reader": "run"}
    assert project.text(result, "reader") == "(made=a())"


def test_a_blob_that_the_disk_does_not_give_just_now_stays(
    built: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others may be reading it; when the disk gives it again, nothing has to run."""
    before, original = built.blobs(), canonical.sha256_of_file

    def refuse(path: Path) -> str:
        if "blobs" in path.parts:
            raise OSError(errno.EIO, "Input/output error", str(path))
        return original(path)

    (built.state / "stat_cache").unlink()
    monkeypatch.setattr(canonical, "sha256_of_file", refuse)
    with built.builder.hold():
        built.builder.build(ACTIONS[:1], ["a"], jobs=1)
    monkeypatch.undo()
    assert built.blobs() == before
