"""The stat cache saves reading and never lies."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import pytest

from modelbuild.build import canonical
from modelbuild.build.clock import COARSE_NS, GRANULARITY_NS, Clock
from modelbuild.build.rows import pack, unpack
from modelbuild.build.stat_cache import StatCache
from modelbuild.errors import ModelbuildError


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that were really read."""
    seen: list[Path] = []
    original = canonical.sha256_of_file

    def counted(path: Path) -> str:
        seen.append(path)
        return original(path)

    monkeypatch.setattr(canonical, "sha256_of_file", counted)
    return seen


def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets the clock of the cache stand after every file's granularity has passed."""
    now = time.time_ns
    monkeypatch.setattr("modelbuild.build.clock.time.time_ns", lambda: now() + 2 * COARSE_NS)


def opened(folder: Path) -> StatCache:
    return StatCache(folder / "cache.json", folder / "scratch")


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_an_old_file_is_read_once_ever(
    tmp_path: Path, reads: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a"
    path.write_text("one")
    later(monkeypatch)
    cache = opened(tmp_path)
    assert cache.digest_now("a", path) == cache.digest_now("a", path) == digest("one")
    cache.save()
    assert opened(tmp_path).digest_now("a", path) == digest("one")
    assert reads == [path]


def test_a_young_file_stays_unknown(tmp_path: Path, reads: list[Path]) -> None:
    """Written again within one tick of the clock, with the same size, it would look the same."""
    path = tmp_path / "a"
    path.write_text("one")
    cache = opened(tmp_path)
    cache.digest_now("a", path)
    before = path.stat()
    path.write_text("two")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert cache.digest_now("a", path) == digest("two")
    cache.save()
    opened(tmp_path).digest_now("a", path)
    assert len(reads) == 3


def test_a_change_with_size_and_mtime_put_back_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a"
    path.write_text("one")
    before = path.stat()
    later(monkeypatch)
    cache = opened(tmp_path)
    cache.digest_now("a", path)
    monkeypatch.undo()
    path.write_text("two")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert cache.digest_now("a", path) == digest("two")


def test_within_a_build_a_file_has_one_digest(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("one")
    cache = opened(tmp_path)
    assert cache.digest("a", path) == digest("one")
    path.write_text("two")
    assert cache.digest("a", path) == digest("one")
    cache.forget()
    assert cache.digest("a", path) == digest("two")


def test_a_cache_damaged_anywhere_is_read_as_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    path.write_text("one")
    later(monkeypatch)
    cache = opened(tmp_path)
    cache.digest_now("a", path)
    cache.save()
    file = tmp_path / "cache.json"
    whole = file.read_bytes()
    wrong = whole.replace(bytes.fromhex(digest("one")), bytes.fromhex(digest("two")))
    assert wrong != whole
    for damaged in [whole[:length] for length in range(len(whole))] + [wrong, b"\xff" * 100]:
        file.write_bytes(damaged)
        assert opened(tmp_path).digest_now("a", path) == digest("one")


def test_what_is_no_file_is_refused_and_a_fifo_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "folder").mkdir()
    for name, message in [
        ("fifo", "not a regular file"),
        ("folder", "it is a folder"),
        ("none", "none does not exist"),
    ]:
        with pytest.raises(ModelbuildError, match=message) as caught:
            opened(tmp_path).digest_now(name, tmp_path / name)
        assert caught.value.exit_code == 2


def test_what_was_written_with_its_digest_is_not_read_again(
    tmp_path: Path, reads: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a"
    path.write_text("one")
    cache = opened(tmp_path)
    cache.note("a", path, digest("one"))
    later(monkeypatch)
    cache.save()
    assert opened(tmp_path).digest_now("a", path) == digest("one")
    assert reads == []


def test_what_was_written_a_moment_ago_is_read_again(tmp_path: Path, reads: list[Path]) -> None:
    path = tmp_path / "a"
    path.write_text("one")
    cache = opened(tmp_path)
    cache.note("a", path, digest("one"))
    cache.save()
    before = path.stat()
    path.write_text("two")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert opened(tmp_path).digest_now("a", path) == digest("two")
    assert reads == [path]


def test_what_was_altered_since_it_was_written_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a"
    path.write_text("one")
    cache = opened(tmp_path)
    cache.note("a", path, digest("one"))
    path.write_text("other")
    later(monkeypatch)
    cache.save()
    assert opened(tmp_path).digest_now("a", path) == digest("other")


def stamped(ctime_ns: int, device: int) -> os.stat_result:
    """What stat(2) says of a file of that ctime."""
    times = (0, 0, ctime_ns // 10**9, 0.0, 0.0, ctime_ns / 1e9, 0, 0, ctime_ns)
    return os.stat_result((0o100644, 1, device, 1, 0, 0, 0, *times))


@pytest.mark.parametrize(
    ("age_ns", "elsewhere", "whole_second", "settled"),
    [
        (GRANULARITY_NS, False, False, True),
        (GRANULARITY_NS - 1, False, False, False),
        (0, False, False, False),
        (-COARSE_NS, False, False, False),  # a clock that ran ahead and was put back
        (GRANULARITY_NS, True, False, False),
        (COARSE_NS, True, False, True),
        (10**9, False, True, False),  # stamps without a sub-second part: a coarse clock
        (COARSE_NS, False, True, True),
    ],
)
def test_a_file_is_old_by_the_clock_of_its_own_file_system(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    age_ns: int,
    elsewhere: bool,
    whole_second: bool,
    settled: bool,
) -> None:
    """A server's clock is an hour behind this machine's: only the stamps on its own files count."""
    device = tmp_path.stat().st_dev
    server = (time.time_ns() - 3600 * 10**9) // 10**9 * 10**9 + (0 if whole_second else 1) + 5 * 10**9
    fstat = os.fstat
    monkeypatch.setattr(
        "modelbuild.build.clock.os.fstat", lambda descriptor: fstat(descriptor) and stamped(server, device)
    )
    found = stamped(server - age_ns, device + 1 if elsewhere else device)
    assert Clock(str(tmp_path)).is_settled(found) is settled
    assert not list(tmp_path.iterdir())


def test_where_no_file_can_be_written_the_machines_clock_serves_with_the_coarse_margin() -> None:
    for folder in (None, "/proc/no such folder"):
        now = time.time_ns()
        assert Clock(folder).is_settled(stamped(now - COARSE_NS, 1))
        assert not Clock(folder).is_settled(stamped(now - GRANULARITY_NS, 1))


@pytest.mark.parametrize(
    ("first", "then", "is_whole", "kept"),
    [("abcd", "xyz", True, "xyz"), ("abcdefgh", "x", False, "abcdefghx")],
)
def test_rows_that_nothing_asked_for_go_only_where_all_was_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: str, then: str, is_whole: bool, kept: str
) -> None:
    monkeypatch.setattr("modelbuild.build.stat_cache._SLACK", 0)
    later(monkeypatch)
    for names in (first, then):
        cache = opened(tmp_path)
        for name in names:
            (tmp_path / name).write_text(name)
            cache.digest_now(name, tmp_path / name)
        if is_whole:
            cache.trim()
        cache.save()
    cache = opened(tmp_path)
    assert [name for name in first + then if cache.row(name)] == list(kept)


def saved(folder: Path, changes: list[dict[str, str]]) -> list[int]:
    """The sizes of the cache's file after each of the changes to files of the folder."""
    sizes = []
    for change in changes:
        cache = opened(folder)
        for name, text in change.items():
            (folder / name).write_text(text)
            cache.digest_now(name, folder / name)
        cache.save()
        sizes.append((folder / "cache.json").stat().st_size)
    return sizes


def test_few_new_rows_are_added_to_the_file_and_the_last_of_a_label_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    later(monkeypatch)
    many = {f"file {index}": str(index) for index in range(100)}
    first, second, third = saved(tmp_path, [many, {"file 3": "three"}, {"new": "n"}])
    assert 0 < second - first < first / 10
    assert 0 < third - second < first / 10
    cache = opened(tmp_path)
    rows = {name: cache.row(name) for name in ("file 3", "file 4", "new")}
    assert {name: row and row[1] for name, row in rows.items()} == {
        "file 3": digest("three"),
        "file 4": digest("4"),
        "new": digest("n"),
    }


def test_a_file_cut_anywhere_keeps_its_whole_blocks_and_is_whole_again_after_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    later(monkeypatch)
    first, second = saved(tmp_path, [{f"file {index}": str(index) for index in range(9)}, {"new": "n"}])
    path = tmp_path / "cache.json"
    whole = path.read_bytes()
    for length in [*range(0, first, 37), *range(first, second)]:
        path.write_bytes(whole[:length])
        cut = opened(tmp_path)
        assert (cut.row("file 3") is not None) == (length >= first)
        assert cut.row("new") is None
        saved(tmp_path, [{"other": str(length)}])
        again = opened(tmp_path)
        assert again.row("other") is not None
        assert (again.row("file 3") is not None) == (length >= first)


def test_a_file_of_many_blocks_becomes_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelbuild.build.stat_cache._MOST_BLOCKS", 3)
    later(monkeypatch)
    many = {f"file {index}": str(index) for index in range(100)}
    sizes = saved(tmp_path, [many, *({"file 3": str(number)} for number in range(5))])
    assert sizes[0] < sizes[1] < sizes[2] < sizes[3]
    assert sizes[4] == sizes[0]
    row = opened(tmp_path).row("file 3")
    assert row is not None and row[1] == digest("4")


def test_a_file_of_another_python_is_a_miss(monkeypatch: pytest.MonkeyPatch) -> None:
    data = pack(("any", 1))
    assert unpack(data) == ("any", 1)
    monkeypatch.setattr("modelbuild.build.rows.TAG", "cpython-399")
    assert unpack(data) is None
