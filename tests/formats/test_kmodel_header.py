"""The heads of real kmodels of every version."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelbuild.errors import ModelbuildError
from modelbuild.formats import kmodel_header

EXPECTED = {
    "v3_face_detect": (3, "k210", 24, 0),
    "v4_mobilenet_025": (4, "k210", 35, 0),
    "v5_mnist_cpu": (5, "cpu", 0, 1),
    "v5_small_k210": (5, "k210", 0, 2),
    "v6_face_detection_320": (6, "k230", 0, 2),
    "v7_face_detection_320": (7, "k230", 0, 2),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_real_files_are_recognised(name: str, shared_data: Path) -> None:
    data = (shared_data / f"artifacts/kmodel/{name}.kmodel").read_bytes()
    assert kmodel_header.is_kmodel(data)
    found = kmodel_header.decode(data)
    assert (found.version, found.target, found.layers, len(found.modules)) == EXPECTED[name]
    assert found.unread == 0


def test_tensors_of_the_old_versions(shared_data: Path) -> None:
    folder = shared_data / "artifacts/kmodel"
    three = kmodel_header.decode((folder / "v3_face_detect.kmodel").read_bytes())
    assert [(t.address, t.size) for t in three.outputs] == [(9000, 36000)]
    four = kmodel_header.decode((folder / "v4_mobilenet_025.kmodel").read_bytes())
    assert [(t.dtype, t.shape) for t in four.inputs] == [("uint8", (1, 3, 224, 224))]
    assert four.main_memory == 903168


def test_modules_lie_one_after_the_other(shared_data: Path) -> None:
    found = kmodel_header.decode((shared_data / "artifacts/kmodel/v5_small_k210.kmodel").read_bytes())
    assert [(m.kind, m.offset, m.size, m.functions) for m in found.modules] == [
        ("stackvm", 0x20, 576, 1),
        ("k210", 0x260, 1832, 1),
    ]


@pytest.mark.parametrize(
    "data", [b"", b"LDMK", b"LDMK\x09\0\0\0", b"LDMK\x05\0\0\0" + bytes(40), b"\x03\0\0\0" + bytes(24)]
)
def test_anything_else_is_refused(data: bytes) -> None:
    with pytest.raises(ModelbuildError, match="kmodel is damaged"):
        kmodel_header.decode(data)
