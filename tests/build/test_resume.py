"""A build that is remembered: whether anything differs is known exactly, and only what differs is built."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from build_harness import Project, action
from hypothesis import given, settings
from hypothesis import strategies as st

from modelbuild.build import canonical, look
from modelbuild.build.clock import Clock
from modelbuild.build.recall import Recalled, path_of, recall
from modelbuild.build.remember import Product
from modelbuild.build.snapshot import Snapshot
from modelbuild.errors import ModelbuildError

ACTIONS = [
    action("left", "upper", inputs={"x": "left.txt"}),
    action("right", "fail_if_bad", inputs={"x": "right.txt"}),
    action("pair", inputs={"a": "@left", "b": "@right"}),
    action("page", discover="stages_for_tests:named_files", inputs={"x": "list.txt"}),
    action("top", inputs={"pair": "@pair", "page": "@page"}, soft={"seen": "@right"}),
    action("alone", inputs={"x": "alone.txt"}),
]
FILES = {"left.txt": "l", "right.txt": "r", "alone.txt": "x", "list.txt": "use named.txt", "named.txt": "n"}
GOALS = ("top", "alone")
FOLDERS = ("dist/top", "dist/alone")


class Remembered:
    """A project whose builds are remembered, and published as two folders."""

    def __init__(self, root: Path) -> None:
        self.project = Project(root)
        for name, text in {**FILES, "plan.txt": "p"}.items():
            self.project.write(name, text)
        self.built = 0

    def products(self, outputs: Mapping[str, Mapping[str, str]]) -> list[Product]:
        return [
            Product(folder, {"text": outputs[goal]["text"]})
            for goal, folder in zip(GOALS, FOLDERS, strict=True)
        ]

    def build(self) -> list[str]:
        """Builds, publishes and remembers all; what ran."""
        self.built += 1
        builder = self.project.builder
        looked_at = {
            str(self.project.root / "plan.txt"): look.FILE,
            str(self.project.root / "all"): look.KIND,
        }
        with builder.hold():
            result = self.project.build(ACTIONS, GOALS, keep_going=True)
            if result.ok:
                for product in self.products(result.outputs):
                    builder.publish(product.files, Path(product.folder))
                later = time.time_ns() + 10**18  # as if all that was looked at were old
                assert not builder.remember(
                    "asked", looked_at, later, self.products(result.outputs), self.built, "p"
                )
        return self.ran()

    def resume(self, meddle: Callable[[], object] = lambda: None) -> list[str] | None:
        """Builds what differs; what ran, or None where all has to be looked at. `meddle` is called when
        all is published, and not remembered yet."""
        builder = self.project.builder
        with builder.hold():
            found = builder.resume("asked")
            if found is None:
                return None
            names = [one.name for one in found.actions]
            result = self.project.build(found.actions, names, given=found.given(), keep_going=True)
            if not result.ok:
                raise result.failures[0][1]
            outputs = {
                name: {file: blob.digest for file, blob in made.items()}
                for name, (_, _, made) in found.results(set(GOALS)).items()
            }
            products = self.products({**outputs, **result.outputs})
            changed = {
                index: product
                for index, product in enumerate(products)
                if builder.publish(product.files, Path(product.folder)) or GOALS[index] in result.states
            }
            meddle()
            builder.renew("asked", found, changed, found.snapshot.told + 1)
        return self.ran()

    def ran(self) -> list[str]:
        """What ran since the last call, but for discoveries."""
        return [label for label in self.project.ran() if label != "discovery"]

    def recall(self) -> Recalled | None:
        return recall(str(self.project.root), str(self.project.state), "asked")

    def is_unchanged(self) -> bool:
        found = self.recall()
        return found is not None and not found.different

    def would_do_something(self) -> bool:
        """What a build that remembers nothing finds."""
        result = self.project.builder.build(ACTIONS, GOALS, jobs=1, dry_run=True)
        if set(result.states.values()) != {"cached"}:
            return True
        return any(
            [path.name for path in (self.project.root / product.folder).glob("*")] != ["text"]
            or not (self.project.root / product.folder / "text").is_file()
            or (self.project.root / product.folder / "text").read_bytes()
            != self.project.builder.output(result, goal, "text").read_bytes()
            for goal, product in zip(GOALS, self.products(result.outputs), strict=True)
        )


@pytest.fixture
def remembered(tmp_path: Path) -> Remembered:
    """A project built once."""
    found = Remembered(tmp_path / "project")
    found.build()
    return found


def test_what_is_unchanged_is_told_as_it_was_told(remembered: Remembered) -> None:
    found = remembered.recall()
    assert found is not None and found.different == () and found.snapshot.told == 1
    assert sorted(found.snapshot.actions) == sorted(one.name for one in ACTIONS)


def test_the_second_look_reads_no_file(remembered: Remembered, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelbuild.build.clock.GRANULARITY_NS", -(10**18))  # all of these are a moment old
    monkeypatch.setattr("modelbuild.build.clock.COARSE_NS", -(10**18))
    assert remembered.is_unchanged()

    def fail(code: str, path: str) -> str:
        raise AssertionError(path)

    monkeypatch.setattr(look, "digest", fail)
    assert remembered.is_unchanged()


def change_keeping_times(path: Path) -> None:
    """Other bytes of the same number; size and mtime stay."""
    before = path.stat()
    path.chmod(0o644)
    path.write_bytes(bytes(byte ^ 1 for byte in path.read_bytes()))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize(
    ("path", "ran"),
    [
        ("left.txt", ["left", "pair", "top"]),
        ("named.txt", ["page", "top"]),
        ("alone.txt", ["alone"]),
        ("dist/top/text", []),
        ("plan.txt", None),
        (".modelbuild/published.json", None),
    ],
)
def test_only_what_a_change_concerns_is_built(
    remembered: Remembered, path: str, ran: list[str] | None
) -> None:
    changed = remembered.project.root / path
    original = changed.read_bytes()
    change_keeping_times(changed)
    assert not remembered.is_unchanged()
    if path != "left.txt":  # a change of case is another
        remembered.ran()
    assert remembered.resume() == ran
    if ran is None:
        changed.write_bytes(original)
        assert remembered.resume() == []
    assert remembered.is_unchanged() and not remembered.would_do_something()


def test_a_change_that_comes_to_nothing_ends_there(remembered: Remembered) -> None:
    remembered.ran()
    remembered.project.write("left.txt", "L")
    assert remembered.resume() == ["left"]
    found = remembered.recall()
    assert found is not None and not found.different and found.snapshot.told == 2


@pytest.mark.parametrize("age", ["young", "old"])
def test_what_was_published_is_not_read_to_remember_it(
    remembered: Remembered, monkeypatch: pytest.MonkeyPatch, age: str
) -> None:
    """The next look reads it."""
    reads: list[Path] = []
    original = canonical.sha256_of_file

    def counted(path: Path) -> str:
        reads.append(path)
        return original(path)

    def count() -> None:
        monkeypatch.setattr(canonical, "sha256_of_file", counted)
        if age == "old":
            monkeypatch.setattr("modelbuild.build.clock.GRANULARITY_NS", -(10**18))
            monkeypatch.setattr("modelbuild.build.clock.COARSE_NS", -(10**18))

    remembered.project.write("left.txt", "other")
    assert remembered.resume(count)
    assert not [path for path in reads if path.is_relative_to(remembered.project.root / "dist")]
    assert remembered.is_unchanged()


@pytest.mark.parametrize("path", ["dist/top/text", ".modelbuild/records", ".modelbuild/store/blobs"])
def test_what_is_altered_before_it_is_remembered_is_not_taken_for_what_was_made(
    remembered: Remembered, path: str
) -> None:
    before = set((remembered.project.root / path).rglob("*"))

    def meddle() -> None:
        place = remembered.project.root / path
        made = (
            [place] if place.is_file() else [one for one in set(place.rglob("*")) - before if one.is_file()]
        )
        assert made
        for one in made:
            change_keeping_times(one)

    remembered.project.write("left.txt", "other")
    assert remembered.resume(meddle) == ["left", "pair", "top"]
    assert not remembered.is_unchanged()
    assert remembered.would_do_something()
    remembered.resume()
    assert remembered.is_unchanged() and not remembered.would_do_something()


def test_bytes_put_back_are_no_change(remembered: Remembered) -> None:
    remembered.project.write("left.txt", "other")
    assert not remembered.is_unchanged()
    remembered.project.write("left.txt", FILES["left.txt"])
    assert remembered.is_unchanged()


def test_a_path_that_was_nothing_and_is_something_is_a_change(remembered: Remembered) -> None:
    (remembered.project.root / "all").mkdir()
    assert not remembered.is_unchanged() and remembered.resume() is None


def test_other_files_found_are_remembered_by_a_whole_build(remembered: Remembered) -> None:
    remembered.ran()
    remembered.project.write("more.txt", "m")
    remembered.project.write("list.txt", "use named.txt\nuse more.txt")
    assert remembered.resume() == ["page", "top"]
    assert remembered.recall() is None
    assert remembered.build() == []
    remembered.project.write("more.txt", "M")
    assert remembered.resume() == ["page", "top"]


@pytest.mark.parametrize("between", ["nothing", "build", "clean"])
def test_a_look_serves_only_if_nobody_had_the_lock_since(
    remembered: Remembered, monkeypatch: pytest.MonkeyPatch, between: str
) -> None:
    builder = remembered.project.builder
    with builder.hold():
        pass  # the lock file says whose turn it was, from the first on
    remembered.project.write("left.txt", "other")
    seen = remembered.recall()
    assert seen is not None
    if between == "build":
        remembered.build()
    elif between == "clean":
        builder.clean()
    looks: list[str] = []
    original = Snapshot.differing

    def counted(snapshot: Snapshot, root: str, clock: Clock) -> tuple[list[int], list[int]]:
        looks.append(root)
        return original(snapshot, root, clock)

    monkeypatch.setattr(Snapshot, "differing", counted)
    with builder.hold():
        found = builder.resume("asked", seen)
    names = None if found is None else [one.name for one in found.actions]
    assert names == {"nothing": ["left", "pair", "top"], "build": [], "clean": None}[between]
    assert len(looks) == {"nothing": 0, "build": 1, "clean": 0}[between]


def test_the_oldest_of_many_requests_are_forgotten(
    remembered: Remembered, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modelbuild.build.remember._MOST", 2)
    builder = remembered.project.builder
    for request in ("second", "third"):
        with builder.hold():
            products = remembered.products(remembered.project.build(ACTIONS, GOALS).outputs)
            assert not builder.remember(request, {}, 10**19, products, None, None)
        for age, path in enumerate(sorted((remembered.project.state / "settled").iterdir())):
            os.utime(path, (age, age))
    kept = sorted(path.name for path in (remembered.project.state / "settled").iterdir())
    assert kept == ["second", "second.plan", "third", "third.plan"]


def test_a_failure_is_not_remembered_as_an_end(remembered: Remembered) -> None:
    remembered.project.write("right.txt", "BAD")
    for _ in range(2):
        with pytest.raises(ModelbuildError, match="the data is bad"):
            remembered.resume()
        assert not remembered.is_unchanged()
    remembered.project.write("right.txt", "r")
    assert remembered.is_unchanged()


def test_what_changes_while_it_is_built_is_not_remembered_as_it_became(remembered: Remembered) -> None:
    """The file changes after the action has read it and before the snapshot is taken."""
    builder, root = remembered.project.builder, remembered.project.root
    with builder.hold():
        result = remembered.project.build(ACTIONS, GOALS)
        remembered.project.write("left.txt", "changed meanwhile")
        products = remembered.products(result.outputs)
        why = builder.remember("asked", {str(root / "plan.txt"): look.FILE}, 10**19, products, None, None)
    assert not why and not remembered.is_unchanged()


@pytest.mark.parametrize("age", ["before", "after"])
def test_a_plan_is_remembered_only_if_its_files_are_older_than_it(remembered: Remembered, age: str) -> None:
    builder, root = remembered.project.builder, remembered.project.root
    began = time.time_ns() + (10**12 if age == "before" else -(10**12))
    with builder.hold():
        products = remembered.products(remembered.project.build(ACTIONS, GOALS).outputs)
        why = builder.remember("asked", {str(root / "plan.txt"): look.FILE}, began, products, None, None)
    changed = "plan.txt changed since the project was loaded, or its time is ahead of the clock"
    assert why == {"before": "", "after": changed}[age] and remembered.is_unchanged() is not bool(why)


def test_while_a_build_goes_on_nothing_is_said(remembered: Remembered) -> None:
    with remembered.project.builder.hold():
        assert remembered.recall() is None
    assert remembered.is_unchanged()


def test_a_read_only_state_is_read(remembered: Remembered, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> int:
        raise PermissionError(13, "Permission denied")

    original = os.open

    def only_reading(path: str, flags: int, *more: int) -> int:
        return refuse() if flags & (os.O_WRONLY | os.O_RDWR) else original(path, flags, *more)

    monkeypatch.setattr(os, "open", only_reading)
    assert remembered.is_unchanged()


@pytest.mark.parametrize("suffix", ["", ".plan"])
def test_what_is_damaged_is_a_miss(remembered: Remembered, suffix: str) -> None:
    kept = Path(path_of(str(remembered.project.state), "asked") + suffix)
    whole = kept.read_bytes()
    step = 1 + len(whole) // 60
    damaged = [whole[:length] for length in range(0, len(whole), step)]
    damaged += [
        whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :] for at in range(0, len(whole), step)
    ]
    remembered.project.write("left.txt", "other")
    for data in damaged:
        kept.write_bytes(data)
        found = remembered.recall()
        assert found is None or found.different, "a damaged file said that nothing changed"
        with remembered.project.builder.hold():
            resumed = remembered.project.builder.resume("asked")
        if resumed is not None:  # what is damaged is not needed for this change
            assert [one.name for one in resumed.actions] == ["left", "pair", "top"]
            assert resumed.actions == [ACTIONS[0], ACTIONS[2], ACTIONS[4]]


EDITS = st.one_of(
    st.tuples(st.sampled_from(["write", "rewrite"]), st.sampled_from(sorted(FILES)), st.just(0)),
    st.tuples(st.sampled_from(["damage", "delete"]), st.sampled_from(["blob", "record"]), st.integers(0, 20)),
    st.tuples(st.sampled_from(["damage", "delete", "add"]), st.sampled_from(FOLDERS), st.just(0)),
    st.tuples(st.just("touch"), st.sampled_from(sorted(FILES)), st.just(0)),
    st.tuples(st.just("delete"), st.just("folder"), st.integers(0, 1)),
)


def edit(remembered: Remembered, what: str, where: str, value: object) -> None:
    """One edit of the user's, of the state or of the products."""
    root = remembered.project.root
    if where == "folder":
        assert isinstance(value, int)
        shutil.rmtree(root / FOLDERS[value], ignore_errors=True)
        return
    if where in ("blob", "record"):
        listed = remembered.project.blobs() if where == "blob" else remembered.project.records()
        assert isinstance(value, int)
        path = listed[value % len(listed)]
    else:
        path = root / where / "text" if where in FOLDERS else root / where
    if what == "write":  # never what was there before: a build may remember more than its last end
        path.write_text(f"{path.read_text()}\n{time.monotonic_ns()}")
    elif what == "rewrite":
        path.write_bytes(path.read_bytes())
    elif what == "touch":
        path.touch()
    elif what == "add" and path.parent.is_dir():
        (path.parent / "more").write_text("more")
    elif what == "damage" and path.is_file():
        change_keeping_times(path)
    elif what == "delete":
        path.unlink(missing_ok=True)


STEPS = st.lists(st.lists(EDITS, min_size=1, max_size=3), min_size=1, max_size=3)


@settings(max_examples=5, deadline=None)
@given(steps=STEPS)
def test_unchanged_is_said_exactly_where_a_whole_build_would_do_nothing(
    tmp_path_factory: pytest.TempPathFactory, steps: list[list[tuple[str, str, object]]]
) -> None:
    hold_against_a_whole_build(tmp_path_factory, steps)


@pytest.mark.long
@settings(max_examples=60, deadline=None)
@given(steps=STEPS)
def test_unchanged_is_said_exactly_where_a_whole_build_would_do_nothing_often(
    tmp_path_factory: pytest.TempPathFactory, steps: list[list[tuple[str, str, object]]]
) -> None:
    hold_against_a_whole_build(tmp_path_factory, steps)


def hold_against_a_whole_build(
    tmp_path_factory: pytest.TempPathFactory, steps: list[list[tuple[str, str, object]]]
) -> None:
    """After each round of edits, and once more after the build that it asks for."""
    remembered = Remembered(tmp_path_factory.mktemp("edits") / "project")
    remembered.build()
    for edits in steps:
        for one in edits:
            edit(remembered, *one)
        assert remembered.is_unchanged() is not remembered.would_do_something()
        if remembered.resume() is None or remembered.recall() is None:
            remembered.build()
        assert remembered.is_unchanged() and not remembered.would_do_something()
        texts = {name: (remembered.project.root / name).read_text() for name in FILES}
        pair = f"({texts['left.txt']})".replace("(", "(x=").upper()
        assert (remembered.project.root / "dist/alone/text").read_text() == f"(x={texts['alone.txt']})"
        assert pair in (remembered.project.root / "dist/top/text").read_text()
