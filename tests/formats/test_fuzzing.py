"""The harness of the altered files: what it must notice, and that aimed mutations hit what they aim at."""

from __future__ import annotations

import json
import os
import random
import struct
import zipfile
from io import BytesIO

import onnx
import pytest

from modelbuild.errors import ModelbuildError
from tests.artifacts.test_kinds import model
from tests.formats import archive_sources, fuzzing
from tests.formats.fuzzing import Case, Reader
from tests.formats.mutations import WORDS, json_values, protobuf, tar_headers, tokens
from tests.formats.test_fuzz_archives import PLAIN_TAR

DATA = bytes(range(200))


def first_odd(then: Reader) -> Reader:
    """What a reader does with the first input that begins with an odd byte; all others it refuses."""

    def read(data: bytes) -> str | None:
        if data == DATA:
            return None
        if data[:1] and data[0] % 2:
            return then(data)
        raise ModelbuildError("even")

    return read


def a_bug(_: bytes) -> None:
    raise KeyError("x")


def a_hang(_: bytes) -> None:
    while True:
        pass


def much(_: bytes) -> None:
    bytearray(300 << 20)


def a_crash(_: bytes) -> None:
    os.abort()


def another_exit_code(_: bytes) -> None:
    raise ModelbuildError("no", exit_code=1)


@pytest.mark.parametrize(
    ("then", "told"),
    [
        (a_bug, "KeyError"),
        (a_hang, "signal 27\n"),
        (much, "MemoryError"),
        (a_crash, "signal 6\n"),
        (another_exit_code, "exit_code == 2"),
    ],
)
def test_what_is_not_the_documented_error_fails(
    then: Reader, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fuzzing, "SECONDS", 0.3)
    with pytest.raises(AssertionError, match=told) as raised:
        fuzzing.check(Case(first_odd(then), lambda: DATA), 2_000)
    number = int(str(raised.value).split()[1].strip(",\n"))
    assert fuzzing.altered(Case(a_bug, lambda: DATA), number)[0] % 2


def test_a_tally() -> None:
    def read(data: bytes) -> str:
        if len(data) != len(DATA):
            raise ModelbuildError("length")
        return "low" if data[0] < 128 else "high"

    found = fuzzing.check(Case(read, lambda: DATA), 600)
    assert found.mutations == 600 and 240 < found.aimed < 360
    assert 300 < found.read < 600 and found.outcomes == 3  # of the error there is one place


def test_memory_that_is_used_is_counted() -> None:
    with pytest.raises(AssertionError, match="bytes"):
        fuzzing.once(lambda data: str(len(b"x" * (220 << 20))), b"")
    assert fuzzing.once(lambda data: str(len(b"x" * (50 << 20))), b"") == str(50 << 20)


def test_words_are_those_that_may_be_offsets() -> None:
    data = struct.pack("<II8sQ", 8, 0xDEADBEEF, b"\xff\x7f" * 4, 16)
    change, dice, hit = WORDS(data), random.Random(1), set[int]()
    for _ in range(500):
        changed = change(data, dice)
        assert len(changed) == len(data)
        hit |= {place for place in range(len(data)) if changed[place] != data[place]}
    assert hit == {*range(4), *range(16, 24)}


def test_json_stays_json_and_messages_stay_messages() -> None:
    text = json.dumps({"a": [1, 2, {"b": "c"}], "d": {"e": None, "f": 1.5}}).encode()
    change, dice = json_values(text), random.Random(1)
    assert len({json.dumps(json.loads(change(text, dice))) for _ in range(300)}) > 200
    data = model()
    change, read = protobuf(data), 0
    for _ in range(300):
        try:
            read += bool(onnx.ModelProto.FromString(change(data, dice)))
        except Exception:
            continue
    assert read > 150


def test_headers_and_tokens() -> None:
    change, dice = tar_headers(PLAIN_TAR), random.Random(1)
    headers = [change(PLAIN_TAR, dice) for _ in range(100)]
    assert {len(data) for data in headers} == {len(PLAIN_TAR)} and len(set(headers)) > 90
    text = archive_sources.sima_yaml()
    change = tokens(text)
    assert len({change(text, dice) for _ in range(100)}) > 90


def test_a_folder_lasts_for_a_run() -> None:
    def read(data: bytes) -> str:
        (fuzzing.folder() / "x.zip").write_bytes(data)
        return str(fuzzing.folder()) if zipfile.is_zipfile(fuzzing.folder() / "x.zip") else ""

    buffer = BytesIO()
    zipfile.ZipFile(buffer, "w").close()
    place = fuzzing.once(read, buffer.getvalue())
    assert place and not os.path.exists(place)  # noqa: PTH110
