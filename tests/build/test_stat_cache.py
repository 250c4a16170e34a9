"""The stat cache saves reading and never lies."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import pytest

from modelbuild.build import canonical, stat_cache
from modelbuild.build.stat_cache import GRANULARITY_NS, StatCache
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
    now = time.time_ns() + 2 * GRANULARITY_NS
    monkeypatch.setattr(stat_cache.time, "time_ns", lambda: now)


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
    wrong = whole.replace(digest("one").encode(), digest("two").encode())
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
