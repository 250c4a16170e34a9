"""`cache` on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelbuild import api
from modelbuild.project.settled import unchanged
from tests.cli.conftest import Command, edit


def test_stats_tell_live_from_garbage(copied: Path, command: Command) -> None:
    before = command(copied, "cache", "stats", "--json").json
    assert before["garbage"]["size"] == 0 and before["live"]["size"] == before["size"]
    assert before["live"]["records"] == before["records"]["count"] > 30
    edit(copied, "snr_db: 5", "snr_db: 4")
    assert api.build(api.open_project(copied)).ok
    after = command(copied, "cache", "stats", "--json").json
    assert after["garbage"]["records"] >= 3  # the three gates of before
    assert after["live"]["records"] == before["live"]["records"]
    lines = command(copied, "cache", "stats").lines
    assert [line.split()[0] for line in lines[1:4]] == ["live", "garbage", "all"]


def test_after_a_collection_there_is_nothing_to_do(copied: Path, command: Command) -> None:
    assert command(copied, "build").code == 0
    edit(copied, "snr_db: 5", "snr_db: 4")
    assert command(copied, "build").code == command(copied, "build", "small@nef").code == 0
    dry = command(copied, "cache", "gc", "--max-size", "0", "--older-than", "0s", "--dry-run", "--json").json
    done = command(copied, "cache", "gc", "--max-size", "0", "--older-than", "0s", "--json").json
    assert {**dry, "dry_run": False} == done and done["removed"]["records"] >= 3
    for words in (["build"], ["build", "small@nef"]):
        assert command(copied, *words, "--json").json["actions"]["run"] == 0
    again = command(copied, "cache", "gc", "--max-size", "0", "--json").json
    assert again["removed"] == {"records": 0, "blobs": 0, "waste": 0}
    said = command(copied, "cache", "gc", "--max-size", "0").lines
    assert said[0].startswith("removed 0 results and 0 files, 0 KiB; ") and "which stays" in said[1]


def test_several_manifests_in_one_folder(copied: Path, command: Command) -> None:
    text = (copied / "models.yaml").read_text()
    (copied / "other.yaml").write_text(text.replace("snr_db: 5", "snr_db: 3").replace("all:", "rest:"))
    for file in ("models.yaml", "other.yaml"):
        assert command(copied, "build", "-f", file).code == 0
    command(copied, "cache", "gc", "--max-size", "0")
    for file in ("models.yaml", "other.yaml"):
        assert command(copied, "build", "-f", file, "--json").json["actions"]["run"] == 0
    (copied / "other.yaml").unlink()
    assert command(copied, "cache", "gc", "--max-size", "0", "--json").json["removed"]["records"] > 0
    assert command(copied, "build", "--json").json["actions"]["run"] == 0


@pytest.mark.parametrize("edited", [False, True])
def test_a_collection_while_the_manifest_is_away(copied: Path, command: Command, edited: bool) -> None:
    """As on another branch: what was last built counts again with the first build after it is back."""
    for _ in range(100):  # until the build is remembered: its files must have lain there a moment
        assert command(copied, "build").code == 0
        if unchanged(copied, "models.yaml") is not None:
            break
    (copied / "models.yaml").rename(copied / "away")
    assert command(copied, "cache", "gc").code == 0
    assert command(copied, "cache", "stats", "--json").json["live"]["records"] == 0
    (copied / "away").rename(copied / "models.yaml")
    if edited:
        sample = next((copied / "data").glob("*.npy"))
        sample.write_bytes(sample.read_bytes()[:-4] + b"\0\0\0\0")
    assert command(copied, "build", "--json").json["actions"]["failed"] == 0
    found = command(copied, "cache", "stats", "--json").json
    assert found["builds"] == 1 and found["live"]["records"] > 30
    command(copied, "cache", "gc", "--max-size", "0")
    after = command(copied, "cache", "stats", "--json").json
    assert after["live"] == found["live"]
    assert command(copied, "build", "-n", "--json").json["actions"]["run"] == 0


def test_verify_names_damage_and_the_next_build_mends_it(copied: Path, command: Command) -> None:
    assert command(copied, "build").code == 0
    said = command(copied, "cache", "verify")
    assert said.code == 0 and "files are whole" in said.out
    blob = next(path for path in (copied / ".modelbuild/store/blobs").rglob("*") if path.is_file())
    blob.chmod(0o644)
    blob.write_bytes(blob.read_bytes() + b"x")
    said = command(copied, "cache", "verify")
    assert said.code == 1 and said.lines[0] == f"damaged, and set aside: {blob}"
    data = command(copied, "cache", "verify", "--json").json
    assert (data["ok"], data["damaged"]) == (False, []) and data["incomplete"]
    assert command(copied, "build").code == 0
    assert command(copied, "cache", "verify").code == 0
    stats = command(copied, "cache", "stats", "--json").json
    assert stats["damaged"]["count"] == 1
    assert command(copied, "cache", "gc", "--json").json["removed"]["waste"] >= 1


def test_damage_that_no_build_mends_is_gone_after_a_collection(copied: Path, command: Command) -> None:
    assert command(copied, "build").code == 0
    blob = next(path for path in (copied / ".modelbuild/store/blobs").rglob("*") if path.is_file())
    blob.unlink()
    said = command(copied, "cache", "verify")
    assert said.code == 1 and "`cache gc` removes the rest" in said.out
    assert command(copied, "cache", "gc", "--json").json["removed"]["records"] >= 1
    assert command(copied, "cache", "verify").code == 0
    assert command(copied, "build").code == command(copied, "cache", "verify").code == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["gc", "--max-size", "ten"], "--max-size ten is no size"),
        (["gc", "--max-size", "-1G"], "--max-size needs a value"),
        (["gc", "--older-than", "30"], "--older-than 30 is no age"),
        (["gc", "--older-than", "1.5d"], "--older-than 1.5d is no age"),
        (["stats", "--dry-run"], "--dry-run goes with `cache gc`"),
        (["verify", "--max-size", "1G"], "--max-size goes with `cache gc`"),
        (["prune"], "`prune` is not known\n  do:  it is one of stats, verify, gc\n"),
    ],
)
def test_wrong_words(small: Path, command: Command, words: list[str], message: str) -> None:
    said = command(small, "cache", *words)
    assert said.code == 2 and message in said.err


def test_where_nothing_was_built(tmp_path: Path, command: Command) -> None:
    for words in (["stats"], ["verify"], ["gc"]):
        said = command(tmp_path, "cache", *words)
        assert said.code == 2 and "nothing was built here" in said.err
    assert not list(tmp_path.iterdir())
