"""Every file of the store is read; what is damaged is told, set aside, and built again."""

from __future__ import annotations

from pathlib import Path

import pytest
from build_harness import Project, action

from modelbuild.build.inventory import Held
from modelbuild.build.verifying import Damage, verify
from tests.build.store_harness import Checkout, key_of


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    checkout = Checkout(tmp_path / "checkout")
    for index in range(3):
        checkout.put(f"r{index}", f"output {index}".encode())
    return checkout


def check(checkout: Checkout) -> Damage:
    return verify(checkout.folder, checkout.root, lambda: None, lambda held: None)


def overwrite(path: Path, data: bytes) -> None:
    path.chmod(0o644)
    path.write_bytes(data)


def test_a_whole_store(checkout: Checkout) -> None:
    seen: list[Held] = []
    found = verify(checkout.folder, checkout.root, lambda: None, seen.append)
    assert found.ok and found.read == len(seen) == 6
    assert found.read_bytes == sum(held.size for held in seen)


def test_every_flipped_byte_of_a_blob_and_of_a_record(checkout: Checkout) -> None:
    blob = checkout.state.store.path(key_of("output 1"))
    record = checkout.state.records.path(key_of("r1"))
    for path in (blob, record):
        data = path.read_bytes()
        for position in range(0, len(data), 1 if path is blob else 37):
            changed = bytearray(data)
            changed[position] ^= 1
            overwrite(path, bytes(changed))
            found = check(checkout)
            assert not found.ok
            assert [held.path for held in (*found.blobs, *found.records)] == [path]
            assert not path.exists() and path.with_name(path.name + ".bad").exists()
            path.write_bytes(data)
    assert check(checkout).ok


def test_a_record_under_anothers_name(checkout: Checkout) -> None:
    records = checkout.state.records
    overwrite(records.path(key_of("r1")), records.path(key_of("r2")).read_bytes())
    assert [held.name for held in check(checkout).records] == [key_of("r1")]


def test_blobs_that_are_gone(checkout: Checkout) -> None:
    blob = checkout.state.store.path(key_of("output 1"))
    blob.unlink()
    found = check(checkout)
    assert not found.ok and found.missing == {key_of("r1"): (key_of("output 1"),)}


def test_damage_makes_its_results_incomplete(checkout: Checkout) -> None:
    overwrite(checkout.state.store.path(key_of("output 1")), b"")
    found = check(checkout)
    assert [held.name for held in found.blobs] == [key_of("output 1")]
    assert found.missing == {key_of("r1"): (key_of("output 1"),)}


def test_another_versions_record_is_no_damage(checkout: Checkout) -> None:
    from modelbuild.build import disk

    disk.write(checkout.state.records.path(key_of("x")), disk.seal({"schema": 99}), checkout.state.scratch)
    assert check(checkout).ok


def test_the_next_build_makes_it_again(project: Project) -> None:
    actions = [action("one"), action("two", inputs={"a": "@one"})]
    project.build(actions)
    project.ran()
    for path in project.blobs():
        path.chmod(0o644)
        path.write_bytes(path.read_bytes() + b"x")
    found = verify(project.state, project.root, lambda: None, lambda held: None)
    assert len(found.blobs) == 2
    assert set(project.build(actions).states.values()) == {"run"}
    assert verify(project.state, project.root, lambda: None, lambda held: None).ok
