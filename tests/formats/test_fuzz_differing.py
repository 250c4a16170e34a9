"""Altered files held against the unaltered and against each other: an object or the documented error."""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Callable
from functools import cache

import pytest

from modelbuild.artifacts.differing import diff
from modelbuild.artifacts.differing_text import render
from modelbuild.errors import ModelbuildError
from modelbuild.formats import elf, tar
from modelbuild.report import inspected
from tests.formats import archive_sources, fuzzing
from tests.formats.fuzz_samples import SAMPLES, Sample
from tests.formats.fuzzing import LONG, SHORT, Case, Reader
from tests.formats.test_fuzz import small_mpk


def differing(sample: Sample) -> Reader:
    """Every other input against the file, the others against one before; of one in sixteen text and page."""
    last = b""
    whole = cache(lambda: sample.dress(sample.make()))

    def read(data: bytes) -> str:
        nonlocal last
        here, there = (fuzzing.folder() / side for side in "ab")
        for side in (here, there):
            side.mkdir(exist_ok=True)
        odd = zlib.crc32(data)
        first = last if last and odd % 2 else whole()
        (here / sample.name).write_bytes(first)
        (there / sample.name).write_bytes(data)
        found = diff(here / sample.name, there / sample.name)
        assert found["equal"] is (first == data)
        last = data
        text = json.dumps(found, allow_nan=False)
        if odd % 16 < 2:
            assert json.loads(text) == found
            assert "\x1b" not in render(found) and "\x1b" not in inspected.page_of_diff(found)
        return ", ".join(key for key in ("metadata", "models", "weights", "parts", "timing") if found[key])

    return read


MOST = LONG // len(SAMPLES)  # of each, so that there are LONG in all
CASES = {
    f"diff {name}": Case(differing(sample), sample.make, sample.dress, sample.aim)
    for name, sample in SAMPLES.items()
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(
    "count", [SHORT // 3, pytest.param(MOST, marks=pytest.mark.long)], ids=["short", "long"]
)
def test_mutations(name: str, count: int) -> None:
    assert fuzzing.check(CASES[name], count).read > 0


def test_files_of_other_kinds_are_refused() -> None:
    def read(data: bytes) -> str:
        a, b = fuzzing.folder() / "a", fuzzing.folder() / "b"
        a.write_bytes(data)
        b.write_bytes(SAMPLES["elf"].make())
        with pytest.raises(ModelbuildError, match="one kind"):
            diff(a, b)
        return "refused"

    assert fuzzing.once(read, SAMPLES["zip"].make()) == "refused"


def nearly_all(value: int) -> bytes:
    """An MPK that unpacks to nearly all that is always allowed."""
    members = {item.name: item.data for item in tar.read(small_mpk())}
    program = elf.write([elf.NewSection("filter.00", bytes([value]) * (28 << 20))])
    return archive_sources.files_tarred({**members, "digits_stage1_mla.elf": program})


def unfolding(value: int) -> bytes:
    """A .sima of some KB whose arrays unpack to more than such a file may; to less than their own archive,
    which has 2 MiB, might if it came alone."""
    arrays = io.BytesIO()
    with zipfile.ZipFile(arrays, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("x", bytes(2 << 20), zipfile.ZIP_STORED)
        for number in range(4):
            file.writestr(f"{number}.npy", bytes([value]) * (16 << 20))
    return archive_sources.sima(arrays=arrays.getvalue())


@pytest.mark.parametrize(
    ("make", "weights"),
    [(nearly_all, "host command weight"), (unfolding, "net.npz/0")],
    ids=["mpk", "sima"],
)
def test_files_that_unpack_to_nearly_all_that_is_allowed(make: Callable[[int], bytes], weights: str) -> None:
    def read(data: bytes) -> str:
        a, b = fuzzing.folder() / "a", fuzzing.folder() / "b"
        a.write_bytes(data)
        b.write_bytes(other)
        return " ".join(item["name"] for item in diff(a, b)["weights"])

    other = make(2)
    assert set(fuzzing.once(read, make(1)).split()) <= set(weights.split())
