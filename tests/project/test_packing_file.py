"""`pack`: the manifest that it stands for, the file that it writes, and all that it refuses."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from modelbuild.artifacts.inspect import inspect
from modelbuild.build.result import Event
from modelbuild.errors import ModelbuildError
from modelbuild.project.building import build
from modelbuild.project.pack_manifest import ONLY, PackRequest, text_of
from modelbuild.project.packing_file import manifest_of, pack
from modelbuild.project.project import open_project
from tests.project.small_project import write_model, write_samples


@pytest.fixture
def request_(tmp_path: Path) -> PackRequest:
    write_model(tmp_path / "net.onnx")
    write_samples(tmp_path / "samples", 3)
    return PackRequest("net.onnx", "kl720", tmp_path, ["samples/*.npy"])


def listing(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_the_package_is_written_under_the_name_asked_for_and_nothing_else(request_: PackRequest) -> None:
    folder = request_.directory
    before = listing(folder)
    packed = pack(request_, folder / "m.nef")
    assert listing(folder) == before | {"m.nef"}
    data = (folder / "m.nef").read_bytes()
    assert (packed.size, packed.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert packed.silicon is False and packed.chip == "kl720" and packed.id == 32768
    assert packed.measured.snr_db["scores"] > 10
    told = inspect(folder / "m.nef")
    assert told["silicon"] is False and [model["id"] for model in told["models"]] == [32768]


def test_what_is_wrong_with_the_samples_is_told(request_: PackRequest) -> None:
    told: list[str] = []
    pack(request_, request_.directory / "m.nef", warn=told.append)
    (few,) = [text for text in told if "calibration sample" in text]
    assert few.startswith("3 calibration samples: too few") and "\n  do:  calibrate on 64" in few


def test_the_manifest_printed_builds_the_same_bytes(request_: PackRequest) -> None:
    chosen = replace(request_, accept={"snr_db": 5, "cpu_nodes": 0}, id=40000, version="00ff")
    folder = chosen.directory
    packed = pack(chosen, folder / "m.nef")
    (folder / "models.yaml").write_text(manifest_of(chosen), encoding="utf-8")
    report = build(open_project(folder))
    assert report.ok and report.packages[0].files
    shipped = [file for file in report.packages[0].files if file["path"].endswith(".nef")]
    assert [file["sha256"] for file in shipped] == [packed.sha256]


def test_with_a_cache_a_second_pack_runs_nothing(request_: PackRequest, tmp_path: Path) -> None:
    ran: list[str] = []

    def observe(event: Event) -> None:
        if event.kind == "finished" and event.state == "run":
            ran.append(event.action)

    first = pack(request_, tmp_path / "a.nef", cache=tmp_path / "cache", observer=observe)
    assert ran
    ran.clear()
    second = pack(request_, tmp_path / "b.nef", cache=tmp_path / "cache", observer=observe)
    assert not ran and second.sha256 == first.sha256
    assert (tmp_path / "a.nef").read_bytes() == (tmp_path / "b.nef").read_bytes()


def test_into_a_folder_it_takes_its_own_name(request_: PackRequest, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    assert pack(request_, tmp_path / "out").path == tmp_path / "out/models_720.sim.nef"
    assert pack(replace(request_, chip="modalix"), tmp_path / "out").path.name == "net_mpk.sim.tar.gz"


def test_a_bound_that_does_not_hold_leaves_what_was_there(request_: PackRequest, tmp_path: Path) -> None:
    (tmp_path / "m.nef").write_bytes(b"older")
    with pytest.raises(ModelbuildError, match="the bound is at least 300") as caught:
        pack(replace(request_, accept={"snr_db": 300}), tmp_path / "m.nef", force=True)
    assert caught.value.exit_code == 1
    assert (tmp_path / "m.nef").read_bytes() == b"older"


@pytest.mark.parametrize("content", [b"a vendor's package", b"\x08\x08model"])
def test_a_file_that_is_no_simulator_package_is_not_overwritten(
    request_: PackRequest, tmp_path: Path, content: bytes
) -> None:
    place = tmp_path / "m.nef"
    place.write_bytes(content)
    with pytest.raises(ModelbuildError, match="no pack has written") as caught:
        pack(request_, place)
    assert caught.value.exit_code == 2 and "m.nef" in str(caught.value) and "--force" in str(caught.value)
    assert place.read_bytes() == content
    first = pack(request_, place, force=True)
    assert pack(request_, place).sha256 == first.sha256
    (tmp_path / "out").mkdir()
    (tmp_path / "out/models_720.sim.nef").write_bytes(content)
    with pytest.raises(ModelbuildError, match="no pack has written"):
        pack(request_, tmp_path / "out")
    assert (tmp_path / "out/models_720.sim.nef").read_bytes() == content


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"samples": []}, "no samples to quantize with"),
        ({"samples": ["nothing/*.npy"]}, "no sample file matches"),
        ({"source": "absent.onnx"}, "no such file"),
        ({"chip": "kl7200"}, "unknown chip"),
        ({"shapes": {ONLY: (1, 4, 4, 4)}}, "does not fit the input `image`"),
        ({"shapes": {ONLY: (1, 3, 8, 8)}}, 'add `edit: [{shape: {"image": [1, 3, 8, 8]}}]`'),
        ({"shapes": {ONLY: (3, 4, 4)}}, "give 4 sizes"),
        ({"shapes": {"imag": (1, 3, 4, 4)}}, "no input `imag`"),
        ({"preprocess": {ONLY: "imgnet"}}, "did you mean `imagenet`"),
        ({"preprocess": {"imag": "unit"}}, "no input `imag`"),
        ({"preprocess": {ONLY: {"mena": 1}}}, "mena"),
        ({"accept": {"snr": 3}}, "unknown key `snr`"),
        ({"id": 0}, "the id 0 is not possible"),
        ({"version": "1"}, "not four hex digits"),
        ({"version": '1"}'}, "not four hex digits"),
    ],
)
def test_what_is_refused(request_: PackRequest, changed: dict[str, Any], says: str) -> None:
    folder = request_.directory
    before = listing(folder)
    with pytest.raises(ModelbuildError) as caught:
        pack(replace(request_, **changed), folder / "m.nef")
    assert says in str(caught.value) and caught.value.exit_code == 2
    assert listing(folder) == before


@pytest.mark.parametrize(
    ("name", "says"), [("m.mpk", "write -o NAME.nef"), ("m", "write -o NAME.nef"), ("no/m.nef", "no folder")]
)
def test_where_it_cannot_go(request_: PackRequest, name: str, says: str) -> None:
    with pytest.raises(ModelbuildError) as caught:
        pack(request_, request_.directory / name)
    assert says in str(caught.value) and caught.value.exit_code == 2


def test_a_fixed_model_is_told_apart(request_: PackRequest) -> None:
    with pytest.raises(ModelbuildError, match="quantized already"):
        text_of(replace(request_, source="x.fixed.onnx"))


def test_sizes_that_a_model_leaves_open_are_never_guessed(tmp_path: Path) -> None:
    import onnx
    from onnx import TensorProto, helper

    graph = helper.make_graph(
        [helper.make_node("Relu", ["image"], ["y"])],
        "open",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, "h", 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3, "h", 8])],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), tmp_path / "open.onnx")
    write_samples(tmp_path / "samples")
    wanted = PackRequest("open.onnx", "kl720", tmp_path, ["samples"])
    with pytest.raises(ModelbuildError, match=r"the input `image` open: \[n, 3, h, 8\]") as caught:
        text_of(wanted)
    assert "--shape image=1,3,<?>,8" in str(caught.value)
    assert "shape: [1, 3, 16, 8]" in text_of(replace(wanted, shapes={ONLY: (1, 3, 16, 8)}))


def test_preprocessing_presets_bring_stretch_and_colours_settings_are_taken_as_they_are(
    request_: PackRequest,
) -> None:
    by_preset = text_of(replace(request_, preprocess={ONLY: "imagenet"}))
    assert "preprocess: {resize: stretch, colour: rgb, preset: imagenet}" in by_preset
    own = text_of(replace(request_, preprocess={"image": {"resize": "crop", "mean": [1, 2, 3]}}))
    assert "preprocess: {resize: crop, mean: [1, 2, 3]}" in own


def test_pictures_go_through_the_preprocessing_that_was_asked_for(request_: PackRequest) -> None:
    folder = request_.directory / "pictures"
    folder.mkdir()
    draw = np.random.Generator(np.random.PCG64(1))
    for index in range(3):
        Image.fromarray(draw.integers(0, 256, (9, 7, 3), dtype=np.uint8)).save(folder / f"{index}.png")
    wanted = replace(request_, samples=["pictures/*.png"])
    packs = [
        pack(replace(wanted, preprocess={ONLY: preset}), request_.directory / f"{preset}.nef").sha256
        for preset in ("unit", "imagenet")
    ]
    assert packs[0] != packs[1]
