"""Blobs are what their digests say, or are not there."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from modelbuild.build import canonical
from modelbuild.build.stat_cache import StatCache
from modelbuild.build.store import Blob, Store


def opened(folder: Path, writable: bool = True) -> Store:
    scratch = folder / "work"
    return Store(folder, scratch, StatCache(folder / "cache.json", scratch), writable)


def test_bytes_are_kept_read_only_under_their_digest(tmp_path: Path) -> None:
    store = opened(tmp_path)
    blob = store.put(b"weights")
    assert blob == Blob(hashlib.sha256(b"weights").hexdigest(), 7)
    path = store.path(blob.digest)
    assert path == tmp_path / "store" / "blobs" / blob.digest[:2] / blob.digest[2:]
    assert path.read_bytes() == b"weights"
    assert path.stat().st_mode & 0o777 == 0o444
    assert store.has(blob)
    assert list((tmp_path / "work").iterdir()) == []


def test_a_damaged_blob_is_set_aside_and_can_be_stored_again(tmp_path: Path) -> None:
    store = opened(tmp_path)
    blob = store.put(b"weights")
    path = store.path(blob.digest)
    for damage in (b"weighty", b"weight", b"", b"weights and more"):
        path.chmod(0o644)
        path.write_bytes(damage)
        assert not store.has(blob)
        assert not path.exists()
        assert path.with_name(path.name + ".bad").read_bytes() == damage
        assert store.put(b"weights") == blob
        assert path.read_bytes() == b"weights"


def test_who_only_looks_changes_nothing(tmp_path: Path) -> None:
    blob = opened(tmp_path).put(b"weights")
    store = opened(tmp_path, writable=False)
    path = store.path(blob.digest)
    path.chmod(0o644)
    path.write_bytes(b"damaged")
    assert store.missing({"a": blob, "b": Blob("0" * 64, 1)}) == ["a", "b"]
    assert path.read_bytes() == b"damaged"


def test_adopting_replaces_whatever_lay_there(tmp_path: Path) -> None:
    store = opened(tmp_path)
    blob = store.put(b"weights")
    store.path(blob.digest).chmod(0o644)
    store.path(blob.digest).write_bytes(b"damaged")
    made = tmp_path / "made"
    made.write_bytes(b"weights")
    store.adopt(made, blob)
    assert store.path(blob.digest).read_bytes() == b"weights"
    assert not made.exists()


@pytest.mark.parametrize("there", ["nothing", "damaged", "right"])
def test_what_a_worker_left_to_the_builder_to_flush_is_flushed_before_it_is_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: str
) -> None:
    """It saw a blob there; only the builder knows whether that is right, and then the file goes."""
    store = opened(tmp_path)
    made = tmp_path / "made"
    made.write_bytes(b"weights")
    blob = Blob(canonical.sha256(b"weights"), 7)
    if there != "nothing":
        store.put(b"weights")
    if there == "damaged":
        store.path(blob.digest).chmod(0o644)
        store.path(blob.digest).write_bytes(b"damaged")
    flushed: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: flushed.append(os.fstat(descriptor).st_ino))
    inode = made.stat().st_ino
    store.adopt(made, blob, is_flushed=False)
    assert flushed == ([] if there == "right" else [inode])
    assert store.path(blob.digest).read_bytes() == b"weights"
    assert not made.exists()


def test_adopting_leaves_what_is_there_and_right_as_it_is(tmp_path: Path) -> None:
    """Another inode would make every file of that content look changed to what is remembered."""
    store = opened(tmp_path)
    blob = store.put(b"weights")
    before = store.path(blob.digest).stat()
    made = tmp_path / "made"
    made.write_bytes(b"weights")
    store.adopt(made, blob)
    after = store.path(blob.digest).stat()
    assert (after.st_ino, after.st_ctime_ns) == (before.st_ino, before.st_ctime_ns)
    assert not made.exists()
