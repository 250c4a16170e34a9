"""What the verbs of `nef` write of altered files: nothing outside of the folder, and all reads back."""

from __future__ import annotations

import shutil
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from modelbuild.artifacts import nef_files
from modelbuild.errors import ModelbuildError
from modelbuild.formats import fw_info, nef, nef_edit, nef_generate, nef_header, nef_patch
from modelbuild.formats.fw_info import FirmwareInfo
from tests.formats import fuzzing
from tests.formats.fuzzing import LONG, SHORT, Case, Reader
from tests.formats.test_fuzz_nef import FILES_OF_ALL, OTHERS

NAMES = (
    *("vendor legacy520", "vendor 2020", "vendor legacy720", "vendor flatbuffer 720 relative"),
    *("vendor flatbuffer 630 absolute", "vendor kne", "ours flatbuffer 720", "ours kne 730"),
)
MOST = LONG // len(NAMES)  # of each, so that there are LONG in all


def right(data: bytes) -> bytes:
    """With all checksums right, as far as the file can be read: the verbs refuse wrong ones at once."""
    try:
        file = nef_header.decode(data)
        if file.firmware_info:
            info = _summed(fw_info.decode(file.firmware_info), file.all_models)
            file = replace(file, firmware_info=fw_info.encode(info))
        return nef_patch.sealed(nef_edit._summed(file))
    except ModelbuildError:
        return data


def _summed(info: FirmwareInfo, all_models: bytes) -> FirmwareInfo:
    if info.checksum is None:
        return info
    models = tuple(zlib.crc32(span) for span in fw_info.model_spans(info.records, all_models))
    bare = replace(info, checksum=zlib.crc32(all_models), model_checksums=models, own_checksum=0, rest=b"")
    return replace(bare, own_checksum=zlib.crc32(fw_info.encode(bare)[:-4]), rest=info.rest)


def verbs(name: str) -> Reader:
    """Every verb on the file, which lies deep enough that what leads out of its folder is seen."""

    def read(data: bytes) -> str:
        read = nef.read(data)
        home = fuzzing.folder() / "a" / "b"
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        (home / "in.nef").write_bytes(data)
        (home / "other.nef").write_bytes(nef.write(OTHERS[name]))
        ids = {read.models[0].id: 77} if read.models else {}
        told = [
            _told(lambda: extracted(home)),
            _told(lambda: generated(home, read.target)),
            _told(lambda: written(nef_files.edit(home / "in.nef", home / "set.nef", ids))),
            _told(
                lambda: written(nef_files.combine([home / "in.nef", home / "other.nef"], home / "two.nef"))
            ),
        ]
        assert {path.name for path in fuzzing.folder().iterdir()} == {"a"}
        assert {path.name for path in home.parent.iterdir()} == {"b"}
        allowed = {"in.nef", "other.nef", "out", "set.nef", "two.nef", "new.nef"}
        assert {path.name for path in home.iterdir()} <= allowed
        return " ".join(told)

    return read


def extracted(home: Path) -> None:
    """Each file lies in the folder and has the bytes that the answer tells."""
    found = nef_files.extract(home / "in.nef", home / "out")
    assert {Path(one["path"]) for one in found["files"]} == set((home / "out").iterdir())
    for one in found["files"]:
        path = Path(one["path"])
        assert path.parent == home / "out" and path.stat().st_size == one["size"]


def generated(home: Path, chip: str) -> None:
    """A NEF around what was extracted, where that was not refused."""
    names = [home / "out" / name for name in ("fw_info.bin", "all_models.bin")]
    names = names if names[0].exists() else list((home / "out").glob("*_models_*.kne"))
    if names:
        written(nef_files.generate(names, home / "new.nef", chip))


def written(answer: dict[str, object]) -> None:
    """The file reads back, with right checksums."""
    again = nef.read(Path(str(answer["path"])).read_bytes())
    nef.check(again)
    assert len(again.models) == len(answer["models"])  # type: ignore[arg-type]


def _told(work: Callable[[], None]) -> str:
    try:
        work()
    except ModelbuildError as error:
        assert error.exit_code == 2
        return "refused"
    return "done"


def generating(chip: str, all_models: bytes, of_both: bool) -> Reader:
    """A NEF around altered binaries: fw_info where it is `of_both`, else all of it."""

    def read(data: bytes) -> None:
        made = nef_generate.generated(
            chip, all_models if of_both else data, data if of_both else b"", own_toolchain="x/1"
        )
        again = nef.read(nef.write(made))
        nef.check(again)
        assert len(again.models) == len(made.models)

    return read


def _file(name: str) -> nef_header.NefFile:
    return nef_header.decode(FILES_OF_ALL[name])


WITH_FIRMWARE = {
    "520": "vendor legacy520",
    "720": "vendor legacy720",
    "630": "vendor flatbuffer 630 absolute",
}
CASES = {
    **{
        f"generate {name}": Case(
            generating(chip, _file(name).all_models, True),
            lambda name=name: _file(name).firmware_info,  # type: ignore[misc]
        )
        for chip, name in WITH_FIRMWARE.items()
    },
    "generate vendor kne": Case(generating("730", b"", False), lambda: _file("vendor kne").all_models),
    **{
        f"verbs {name}": Case(verbs(name), lambda name=name: FILES_OF_ALL[name], right)  # type: ignore[misc]
        for name in NAMES
    },
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(
    "count", [SHORT // 3, pytest.param(MOST, marks=pytest.mark.long)], ids=["short", "long"]
)
def test_mutations(name: str, count: int) -> None:
    assert fuzzing.check(CASES[name], count).read > 0


@pytest.mark.parametrize("name", NAMES)
def test_the_file_itself_goes_through_every_verb(name: str) -> None:
    assert fuzzing.once(verbs(name), FILES_OF_ALL[name]).split()[:3] == ["done"] * 3
    assert right(FILES_OF_ALL[name]) == FILES_OF_ALL[name]


def test_wrong_checksums_are_made_right() -> None:
    data = FILES_OF_ALL["vendor legacy520"]
    spoilt = bytearray(data)
    spoilt[data.index(nef.read(data).models[0].weight)] ^= 1
    assert not all(item.ok for item in nef.read(bytes(spoilt)).checksums)
    assert all(item.ok for item in nef.read(right(bytes(spoilt))).checksums)
