"""Garbage collection: never what the last builds rest on, and a right state at whatever instant it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from build_harness import Project, action, start_build, wait_for_line
from hypothesis import given, settings
from hypothesis import strategies as st

from modelbuild.build import canonical, disk, garbage, lock
from modelbuild.build.garbage import Collected, collect
from modelbuild.build.history import Entry
from modelbuild.errors import ModelbuildError
from tests.build.store_harness import Checkout, key_of

REPOSITORY = Path(__file__).resolve().parents[2]
NOW = 1_000_000


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    monkeypatch.setattr(time, "time", lambda: NOW)
    return Checkout(tmp_path / "checkout")


def gc(checkout: Checkout, **options: Any) -> Collected:
    def waiting() -> None:
        raise AssertionError("nobody holds the lock")

    return collect(checkout.folder, checkout.root, waiting, **options)


def test_what_last_builds_rest_on_stays_at_any_size_and_age(checkout: Checkout) -> None:
    checkout.put("old", b"old")
    checkout.put("new", b"new")
    checkout.put("part", b"part")
    checkout.note("all", {"a": "old"})
    checkout.note("all", {"a": "new"})
    checkout.note("part", {"a": "part"}, whole=False)
    found = gc(checkout, max_size=0, older_than=0)
    assert checkout.names("old", "new", "part") == {"new", "part"}
    assert (len(found.records), len(found.blobs)) == (1, 1)
    assert found.left == found.live > 0
    assert not (checkout.folder / "store/blobs").joinpath(key_of("old")[:2], key_of("old")[2:]).exists()


def test_without_a_bound_only_what_nobody_can_use_goes(checkout: Checkout) -> None:
    checkout.put("unasked", b"1")
    state = checkout.state
    orphan = state.store.path(state.store.put(b"nobody's").digest)
    bad = state.store.path(key_of("x")).with_name("damaged.bad")
    bad.parent.mkdir(parents=True, exist_ok=True)
    bad.write_bytes(b"bad")
    (checkout.folder / "published.json.bad").write_bytes(b"bad")
    (state.scratch / "build-1/0").mkdir(parents=True)
    (state.scratch / "build-1/0/half").write_bytes(b"half")
    found = gc(checkout)
    assert checkout.names("unasked") == {"unasked"}
    assert not orphan.exists() and not bad.exists() and not list(state.scratch.iterdir())
    assert not (checkout.folder / "published.json.bad").exists()
    assert (len(found.records), len(found.blobs), len(found.waste)) == (0, 1, 3)


def test_results_that_lack_a_file_go_whoever_asked_for_them(checkout: Checkout) -> None:
    checkout.put("asked", b"lost", b"left")
    checkout.put("unasked", b"lost", b"shared")
    checkout.put("whole", b"shared")
    checkout.note("sweep", {"a": "asked", "b": "whole"})
    store = checkout.state.store
    store.path(canonical.sha256(b"lost")).unlink()
    found = gc(checkout)
    assert {held.name for held in found.records} == {key_of("asked"), key_of("unasked")}
    assert [held.name for held in found.blobs] == [canonical.sha256(b"left")]
    assert checkout.names("asked", "unasked", "whole") == {"whole"} and checkout.is_right()
    assert found.left == found.live == sum(held.stat().st_size for held in files_of(checkout))


def files_of(checkout: Checkout) -> list[Path]:
    below = [checkout.folder / "records", checkout.folder / "store/blobs"]
    return [path for folder in below for path in folder.rglob("*") if path.is_file()]


def test_the_least_recently_used_goes_first_and_no_more_than_must(checkout: Checkout) -> None:
    for index, name in enumerate(("b", "c", "a")):
        checkout.put(name, name.encode() * 1000, used=index)
    one = gc(checkout, dry_run=True).left // 3
    gc(checkout, max_size=2 * one + 10)
    assert checkout.names("a", "b", "c") == {"a", "c"}
    gc(checkout, max_size=2 * one + 10)
    assert checkout.names("a", "b", "c") == {"a", "c"}
    gc(checkout, max_size=one + 10)
    assert checkout.names("a", "b", "c") == {"a"}


def test_use_counts_and_not_only_making(checkout: Checkout) -> None:
    """`first` was made long ago, and a last build rested on it until today; `second` was made in between."""
    checkout.put("first", b"1", used=1)
    checkout.put("second", b"2", used=500)
    checkout.put("third", b"3", used=400)
    checkout.note("all", {"a": "first"})
    checkout.note("all", {"a": "third"})
    gc(checkout, older_than=NOW - 450)
    assert checkout.names("first", "second", "third") == {"first", "second", "third"}
    gc(checkout, older_than=1000)
    assert checkout.names("first", "second", "third") == {"first", "third"}
    checkout.note("all", {"a": "first"})
    gc(checkout, older_than=0)
    assert checkout.names("first", "second", "third") == {"first"}


def test_a_file_of_two_results_goes_with_the_last(checkout: Checkout) -> None:
    checkout.put("live", b"shared", b"own")
    checkout.put("dead", b"shared", b"other")
    checkout.note("all", {"a": "live"})
    assert len(gc(checkout, max_size=0).blobs) == 1
    assert checkout.names("live", "dead") == {"live"}


def test_a_dry_run_says_what_would_go_and_touches_nothing(checkout: Checkout) -> None:
    checkout.put("dead", b"x")
    checkout.put("live", b"y")
    checkout.note("all", {"a": "live"})
    before = {path: path.stat().st_mtime_ns for path in checkout.folder.rglob("*")}
    told = gc(checkout, max_size=0, dry_run=True)
    assert {path: path.stat().st_mtime_ns for path in checkout.folder.rglob("*") if path.name != "lock"} == {
        path: when for path, when in before.items() if path.name != "lock"
    }
    assert gc(checkout, max_size=0) == told


def test_logs_go_with_the_last_result_of_their_action(checkout: Checkout) -> None:
    for name in ("gone", "kept", "crashed"):
        log = checkout.folder / f"logs/{name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text("x")
    checkout.put("kept", b"1")
    for name in ("gone", "kept"):
        checkout.state.history.add(Entry(name, key_of(name), None, "run", "new"))
    gc(checkout)
    assert {path.stem for path in (checkout.folder / "logs").iterdir()} == {"kept", "crashed"}


def test_notes_of_what_nobody_asks_for_go(checkout: Checkout) -> None:
    for request in ("all", "part"):
        checkout.put(request, request.encode())
        checkout.note(request, {"a": request}, whole=request == "all")
    checkout.write("manifest", "second")
    gc(checkout, max_size=0)
    assert checkout.names("all", "part") == {"all"}
    assert [path.name for path in (checkout.folder / "roots").iterdir()] == ["all"]


def test_a_later_versions_results_are_not_taken_apart(checkout: Checkout) -> None:
    state = checkout.state
    blob = state.store.put(b"needed by what cannot be read")
    strange = state.records.path(key_of("strange"))
    disk.write(strange, disk.seal({"schema": 999}), state.scratch)
    checkout.put("dead", b"dead")
    gc(checkout, older_than=NOW - 10)
    assert strange.exists() and state.store.path(blob.digest).exists()
    assert checkout.names("dead") == set()


def test_a_root_that_cannot_be_read_stops_it(checkout: Checkout) -> None:
    checkout.put("live", b"x")
    checkout.note("all", {"a": "live"})
    (checkout.folder / "roots/all").write_bytes(b"x\ny\n")
    with pytest.raises(ModelbuildError, match="does not tell") as caught:
        gc(checkout, max_size=0)
    assert caught.value.exit_code == 1 and checkout.names("live") == {"live"}


def filled(checkout: Checkout) -> None:
    for index in range(4):
        checkout.put(f"dead{index}", b"shared", f"own {index}".encode(), used=index)
    checkout.put("live", b"live", b"shared")
    checkout.note("all", {"a": "live"})


def test_ended_after_any_removal_every_result_has_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remove = disk.remove
    for limit in range(100):
        checkout = Checkout(tmp_path / str(limit))
        filled(checkout)
        left = [limit]

        def fail(path: Path, left: list[int] = left) -> None:
            if not left[0]:
                raise KeyboardInterrupt
            left[0] -= 1
            remove(path)

        monkeypatch.setattr(garbage.disk, "remove", fail)
        try:
            gc(checkout, max_size=0)
        except KeyboardInterrupt:
            monkeypatch.setattr(garbage.disk, "remove", remove)
        else:
            assert limit == 8  # four records and four files
            return
        assert checkout.is_right(), limit
        assert checkout.names("live") == {"live"}
        gc(checkout, max_size=0)
        assert checkout.names("live", "dead0", "dead3") == {"live"}
    raise AssertionError("it never came to an end")


KILLED = """
import os, signal, sys
from pathlib import Path
from modelbuild.build import canonical, disk, garbage
root, left = Path(sys.argv[1]), int(sys.argv[2])
remove = disk.remove
def fall(path):
    global left
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
    left -= 1
    remove(path)
garbage.disk.remove = fall
garbage.collect(root / ".modelbuild", root, lambda: None, max_size=0)
"""


@pytest.mark.parametrize("limit", [0, 2, 5])
def test_killed_in_the_middle_it_leaves_no_lock_and_a_right_state(tmp_path: Path, limit: int) -> None:
    checkout = Checkout(tmp_path / "checkout")
    filled(checkout)
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(checkout.root), str(limit)], cwd=REPOSITORY, check=False
    )
    assert done.returncode == -signal.SIGKILL
    assert checkout.is_right()
    gc(checkout, max_size=0)
    assert checkout.names("live", "dead3") == {"live"}


def test_it_waits_for_a_running_build_and_the_build_keeps_its_results(
    project: Project, tmp_path: Path
) -> None:
    release = tmp_path / "release"
    os.mkfifo(release)
    project.write("manifest", "x")
    specification = [{"name": "slow", "stage": "block"}]
    process = start_build(project, specification, TEST_RELEASE=str(release))
    wait_for_line(process, "started slow")
    waits = threading.Event()
    collected: list[Collected] = []

    def run() -> None:
        collected.append(collect(project.state, project.root, waits.set, max_size=None))

    thread = threading.Thread(target=run)
    thread.start()
    assert waits.wait(300)  # it has asked for the lock, and told that it waits
    assert not collected
    release.write_text("x")
    assert process.wait(300) == 0
    thread.join(300)
    assert collected[0].records == ()
    assert project.build([action("slow", "block")]).states == {"slow": "cached"}
    process.stdout.close()  # type: ignore[union-attr]


def test_many_collections_beside_builds(project: Project) -> None:
    """Builds of one text after another, each followed by a collection of all that is not the last build's."""
    project.write("manifest", "x")
    checkout = Checkout(project.root)
    stop = threading.Event()
    errors: list[BaseException] = []

    def run() -> None:
        while not stop.is_set():
            try:
                collect(checkout.folder, checkout.root, lambda: None)
            except BaseException as error:
                errors.append(error)
                return

    thread = threading.Thread(target=run)
    thread.start()
    try:
        for index in range(4):
            project.write("a.txt", f"text {index}")
            specification = [
                {"name": "one", "inputs": {"a": "a.txt"}},
                {"name": "two", "inputs": {"b": "@one"}},
            ]
            process = start_build(project, specification)
            assert process.wait(300) == 0
            process.stdout.close()  # type: ignore[union-attr]
    finally:
        stop.set()
        thread.join(300)
    assert errors == []
    actions = [action("one", inputs={"a": "a.txt"}), action("two", inputs={"b": "@one"})]
    assert set(project.build(actions).states.values()) == {"cached"}


def test_checks_of_what_is_staged_share_the_store_and_are_waited_for(checkout: Checkout) -> None:
    beside = checkout.folder / "recorded"
    asked = threading.Event()
    with lock.held(beside / "lock", lambda: None):
        thread = threading.Thread(
            target=collect, args=(checkout.folder, checkout.root, asked.set), kwargs={"beside": [beside]}
        )
        thread.start()
        assert asked.wait(300)
    thread.join(300)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_against_a_model(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Any builds of any requests, collections in between: what each last build rests on is always there."""
    checkout = Checkout(tmp_path_factory.mktemp("model"))
    last: dict[str, dict[str, str]] = {}
    for step in range(data.draw(st.integers(1, 12))):
        if data.draw(st.booleans()):
            request = data.draw(st.sampled_from(["all", "part", "other"]))
            names = data.draw(st.dictionaries(st.sampled_from("abc"), st.sampled_from("12345"), max_size=3))
            for name in names.values():
                checkout.put(name, name.encode() * 50, b"shared", used=step)
            checkout.note(request, names)
            last[request] = names
        else:
            size = data.draw(st.none() | st.integers(0, 3000))
            found = gc(checkout, max_size=size, older_than=data.draw(st.none() | st.just(0)))
            assert size is None or found.left <= max(size, found.live)
        assert checkout.is_right()
        wanted = {name for names in last.values() for name in names.values()}
        assert checkout.names(*"12345") >= wanted
