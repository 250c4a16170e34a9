"""NEF files combined, taken apart and edited; what was combined runs as it did before."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest

from modelbuild import api
from modelbuild.artifacts.nef_files import combine, edit, extract, generate
from modelbuild.artifacts.packing import FORMATS
from modelbuild.artifacts.runner import Runner
from modelbuild.artifacts.runner_of_file import open_runner
from modelbuild.chips.load import load_recipe
from modelbuild.errors import ModelbuildError
from modelbuild.formats import kl520_commands, nef, sealed
from modelbuild.formats.sealed_keys import Secrets
from tests.artifacts.test_packing import packed
from tests.formats import independent_nef
from tests.formats import vendor_nef as vendor
from tests.formats.nef_sources import GENERATIONS, build, source


def outputs(runner: Runner) -> dict[str, np.ndarray]:
    """What the model makes of a fixed draw of its inputs."""
    draw = np.random.Generator(np.random.PCG64(11))
    inputs = {port.name: draw.integers(0, 100, port.shape).astype(port.dtype) for port in runner.inputs}
    return dict(runner.run(inputs))


@pytest.mark.parametrize(("platform", "setup", "_"), GENERATIONS)
def test_combined_packages_run_as_the_single_ones(platform: str, setup: str, _: int, tmp_path: Path) -> None:
    """Bit for bit, in every generation; one model has its operators on the CPU."""
    chip = f"kl{platform}"
    container = load_recipe(chip).container.model_copy(update={"setup": setup})
    singles = []
    for index, kind in enumerate(("conv", "gemm", "max_pool")):
        program = packed(kind, 32768 + index, chip, kind, "cpu" if index == 1 else "npu")
        (data,) = FORMATS["nef"].pack([program], container).values()
        singles.append(tmp_path / f"{kind}.sim.nef")
        singles[-1].write_bytes(data)
    combine(singles, tmp_path / "all.sim.nef")
    independent_nef.parse((tmp_path / "all.sim.nef").read_bytes())
    for path in singles:
        name = path.name.removesuffix(".sim.nef")
        alone, together = outputs(open_runner(path)), outputs(open_runner(tmp_path / "all.sim.nef", name))
        assert list(alone) == list(together) and alone
        for key, value in alone.items():
            assert np.array_equal(value, together[key]) and value.dtype == together[key].dtype


@pytest.fixture
def pair(tmp_path: Path) -> list[Path]:
    """Two NEFs of one model each."""
    paths = [tmp_path / "a.nef", tmp_path / "b.nef"]
    for index, path in enumerate(paths):
        path.write_bytes(build("720", "flatbuffer", 0x80000000, source(index)))
    return paths


@pytest.mark.parametrize("existing", [True, False])
def test_a_folder_takes_the_name_of_simulated_programs(
    pair: list[Path], tmp_path: Path, existing: bool
) -> None:
    folder = tmp_path / "combined"
    if existing:
        folder.mkdir()
    found = combine(pair, str(folder) + ("" if existing else "/"))
    path = folder / "models_720.sim.nef"
    assert found["path"] == str(path)
    assert found["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (found["chip"], found["generation"], found["silicon"]) == ("kl720", "flatbuffer", False)
    assert found["models"] == [
        {"id": 32768, "name": "model_0", "version": "0a0f", "source": str(pair[0])},
        {"id": 32769, "name": "model_1", "version": "0a10", "source": str(pair[1])},
    ]
    assert found["notes"] == []


def test_a_folder_takes_a_vendors_programs_under_its_name(tmp_path: Path) -> None:
    """Whatever the file is called that they come from: its content says for which machine it is."""
    data = vendor.simple("720", vendor.setup_flatbuffer("720", 2), 0x80000000, (999,))
    (tmp_path / "named.sim.nef").write_bytes(data)
    found = combine([tmp_path / "named.sim.nef"], f"{tmp_path}/")
    assert (found["path"], found["silicon"]) == (str(tmp_path / "models_720.nef"), True)


def test_sealed_files_are_to_be_decrypted_first(pair: list[Path], tmp_path: Path) -> None:
    hidden = tmp_path / "hidden.nef.enc"
    hidden.write_bytes(sealed.seal(pair[0].read_bytes(), Secrets(efuse_key=bytes(16)), "nef"))
    for call in (
        lambda: combine([pair[1], hidden], tmp_path / "out.nef"),
        lambda: extract(hidden, tmp_path / "out"),
        lambda: edit(hidden, tmp_path / "out.nef", {32768: 5}),
    ):
        with pytest.raises(ModelbuildError) as raised:
            call()
        (problem,) = raised.value.problems
        assert (problem.what, problem.where) == ("hidden.nef.enc is encrypted", str(hidden))
        assert f"nef decrypt {hidden} -o" in problem.advice and raised.value.exit_code == 2
    assert not (tmp_path / "out.nef").exists() and not (tmp_path / "out").exists()


def test_what_is_no_regular_file_is_not_read(pair: list[Path], tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.nef")
    for path in (tmp_path / "pipe.nef", tmp_path):
        with pytest.raises(ModelbuildError, match=r"is (not a regular file|a folder)"):
            combine([pair[0], path], tmp_path / "out.nef")


def test_what_is_written_is_the_same_each_time(pair: list[Path], tmp_path: Path) -> None:
    sums = {combine(pair, tmp_path / name)["sha256"] for name in ("x.nef", "y.nef")}
    assert len(sums) == 1
    assert combine(pair, tmp_path / "x.nef")["sha256"] in sums  # ours is replaced


def test_vendor_files_are_noted_and_not_overwritten(tmp_path: Path) -> None:
    paths = [tmp_path / "a.nef", tmp_path / "b.nef"]
    for number, path in enumerate(paths, 1):
        path.write_bytes(vendor.simple("630", vendor.setup_flatbuffer("630", 2), 0x80000000, (number,)))
    found = combine(paths, tmp_path / "c.nef")
    assert found["silicon"] and "whether the chip takes the file was not tried" in found["notes"][0]
    assert combine(paths, tmp_path / "c.nef")["ok"]  # it is the same already
    with pytest.raises(ModelbuildError) as caught:
        combine(paths[:1], tmp_path / "c.nef")
    problem = caught.value.problems[0]
    assert problem.what == "-o would overwrite a file with a vendor's programs"
    assert problem.where == str(tmp_path / "c.nef")
    assert combine(paths[:1], tmp_path / "c.nef", force=True)["ok"]
    for force in (True, False):
        with pytest.raises(ModelbuildError, match="overwrite the file that is read"):
            combine(paths, paths[1], force=force)


def test_nothing_is_written_where_it_is_refused(pair: list[Path], tmp_path: Path) -> None:
    with pytest.raises(ModelbuildError, match="two models have the id"):
        combine([pair[0], pair[0]], tmp_path / "new/")
    assert not (tmp_path / "new").exists()
    with pytest.raises(ModelbuildError, match="no NEF is named"):
        combine([], tmp_path / "new/")
    with pytest.raises(ModelbuildError) as caught:
        combine([pair[0], tmp_path / "none.nef"], tmp_path / "x.nef")
    assert caught.value.problems[0].where.endswith("none.nef")
    (tmp_path / "text.nef").write_text("not a package")
    with pytest.raises(ModelbuildError) as caught:
        combine([pair[0], tmp_path / "text.nef"], tmp_path / "x.nef")
    assert caught.value.problems[0].where == str(tmp_path / "text.nef")
    assert caught.value.problems[0].what == "text.nef is no NEF"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.nef", "b.nef", "text.nef"]


def test_extracting_writes_what_is_in_the_file(pair: list[Path], tmp_path: Path) -> None:
    found = extract(pair[0], tmp_path / "deep/output")
    names = [Path(file["path"]).name for file in found["files"]]
    assert names[:2] == ["all_models.bin", "fw_info.bin"] and len(names) == 5
    for file in found["files"]:
        data = Path(file["path"]).read_bytes()
        assert (file["size"], file["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
    assert (tmp_path / "deep/output/all_models.bin").read_bytes() == nef.read(
        pair[0].read_bytes()
    ).file.all_models
    with pytest.raises(ModelbuildError, match=r"already: all_models\.bin, fw_info\.bin"):
        extract(pair[1], tmp_path / "deep/output")
    assert extract(pair[1], tmp_path / "deep/output", force=True)["models"][0]["id"] == 32769


def test_a_link_in_the_folder_is_not_followed(pair: list[Path], tmp_path: Path) -> None:
    folder, outside = tmp_path / "out", tmp_path / "outside.txt"
    folder.mkdir()
    outside.write_text("mine")
    (folder / "all_models.bin").symlink_to(outside)
    with pytest.raises(ModelbuildError, match="already"):
        extract(pair[0], folder)
    extract(pair[0], folder, force=True)
    assert outside.read_text() == "mine" and not (folder / "all_models.bin").is_symlink()


def test_a_damaged_file_is_not_extracted(pair: list[Path], tmp_path: Path) -> None:
    data = bytearray(pair[0].read_bytes())
    data[-1] ^= 1
    pair[0].write_bytes(data)
    with pytest.raises(ModelbuildError, match="checksums do not agree"):
        extract(pair[0], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_editing_writes_another_file(pair: list[Path], tmp_path: Path) -> None:
    found = edit(pair[0], tmp_path / "new.nef", {32768: 40000}, {32768: 0xBEEF})
    assert found["models"] == [{"id": 40000, "name": "model_0", "version": "beef"}]
    assert all(item["ok"] for item in api.inspect(tmp_path / "new.nef")["checksums"])
    with pytest.raises(ModelbuildError, match="overwrite the file that is read"):
        edit(pair[0], pair[0], {32768: 5})
    assert api.nef_combine([pair[0], tmp_path / "new.nef"], tmp_path / "both.nef")["ok"]


def test_the_vendor_file_goes_together_with_itself_under_other_ids(shared_data: Path, tmp_path: Path) -> None:
    """KL520's commands hold DRAM addresses, which move with their regions, and nothing else changes."""
    path = shared_data / "artifacts/nef/kl520_ssd_fd_lm.nef"
    edit(path, tmp_path / "other.nef", {32: 33000, 5: 33001})
    combine([path, tmp_path / "other.nef"], tmp_path / "both.nef")
    data = (tmp_path / "both.nef").read_bytes()
    independent_nef.parse(data)
    before, after = nef.read(path.read_bytes()), nef.read(data)
    assert [model.id for model in after.models] == [32, 5, 33000, 33001]
    for one, two in zip((*before.models, *before.models), after.models, strict=True):
        assert one.regions is not None and two.regions is not None
        assert one.weight == two.weight and one.command != two.command
        assert kl520_commands.moved(two.command, two.regions, one.regions) == one.command
        assert [tensor.shape for tensor in one.outputs] == [tensor.shape for tensor in two.outputs]
        first = kl520_commands.addresses(two.command)
        assert next(at.value for at in first if at.register == "GETW0") == two.regions.weight.address


@pytest.mark.parametrize("index", [0, 5])
def test_extracted_binaries_are_a_file_again(index: int, tmp_path: Path) -> None:
    platform, setup, base = GENERATIONS[index]
    data = build(platform, setup, base, source(0), source(1))
    (tmp_path / "a.nef").write_bytes(data)
    extract(tmp_path / "a.nef", tmp_path / "out")
    names = (
        ["fw_info.bin", "all_models.bin"] if setup != "kne" else [f"NEF_0x{_uuid(data):08X}_models_730.kne"]
    )
    found = generate([tmp_path / "out" / name for name in names], f"{tmp_path}/made/", f"kl{platform}")
    assert found["path"] == str(tmp_path / f"made/models_{platform}.sim.nef") and not found["silicon"]
    made = nef.read(Path(found["path"]).read_bytes())
    assert made.file.all_models == nef.read(data).file.all_models
    with pytest.raises(ModelbuildError, match="from 0 files"):
        generate([], tmp_path / "x.nef", "kl720")


def _uuid(data: bytes) -> int:
    return nef.read(data).file.header.uuid
