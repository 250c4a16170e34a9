"""MPKs as `inspect` shows them: sound ones, broken ones, and ones that break a rule."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from modelbuild.artifacts.inspect import inspect
from modelbuild.artifacts.tree import render
from modelbuild.formats import elf, mpk, tar
from tests.formats import mpk_sources
from tests.formats.archive_sources import files_tarred


def shown(tmp_path: Path, data: bytes, name: str = "net_mpk.tar.gz") -> dict[str, Any]:
    path = tmp_path / name
    path.write_bytes(data)
    found = inspect(path)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert sum(part["size"] for part in found["parts"]) == len(data)
    assert render(found)
    return found


def failed(found: dict[str, Any]) -> dict[str, str]:
    return {check["what"]: check["why"] for check in found["checks"] if not check["ok"]}


def members(**changes: object) -> dict[str, bytes]:
    data = mpk.build(mpk_sources.source(**changes))
    return {member.name: member.data for member in tar.read(data)}


def vendor(kernels: list[str], **config: object) -> dict[str, bytes]:
    """An archive as the vendor's compiler names things: a chain of steps around the accelerator."""
    plugins, before = [], "images"
    for number, kernel in enumerate(kernels, start=1):
        mla = kernel == "MLA"
        name = "MLA_0" if mla else f"{kernel}_{number}"
        plugins.append(
            {
                "name": name,
                "sequence": number,
                "processor": "MLA" if mla else "EV74",
                "type": "sgpProcess",
                "config_params": {**config, **({} if mla else {"kernel": kernel, "params": {}})},
                "input_nodes": [{"name": before, "size": 48}],
                "output_nodes": [{"name": name, "type": "buffer", "size": 48}],
                "resources": {"executable": "net_stage1_mla.elf" if mla else "kernel_name_tbd"},
            }
        )
        before = name
    document = {
        "name": "net",
        "model_sdk_version": "2.0.0",
        "input_nodes": [{"name": "images", "type": "buffer", "size": 48}],
        "plugins": plugins,
    }
    program = elf.write(
        [
            elf.NewSection("code.r0.c0", b"c" * 10),
            elf.NewSection("filter.00", b"w" * 100),
            elf.NewSection("data.ifm.b0", None, 48),
            elf.NewSection("data.ofm.b0", None, 64),
            elf.NewSection("tile.latencies", b"1234"),
        ]
    )
    stats = (
        b"4: {name: MLA_0/a, start_cycle: 0, end_cycle: 999}\n"
        b"5: {name: MLA_0/b, start_cycle: 1000, end_cycle: 1999}\n"
    )
    return {
        "net_mpk.json": json.dumps(document).encode(),
        "net_stage1_mla.elf": program,
        "net_stage1_mla_stats.yaml": stats,
        "archived_compile_script.compile.py": b"pass\n",
    }


def test_a_package_of_the_vendors_form(tmp_path: Path) -> None:
    kernels = ["quantization_transform", "MLA", "dequantization_transform", "pass_through"]
    data = files_tarred(
        vendor(kernels, desired_batch_size=16, actual_batch_size=12), uname="root", mode=0o755
    )
    found = shown(tmp_path, data)
    assert failed(found) == {}
    assert found["silicon"] and found["precision"] == "int8"
    assert (found["desired_batch"], found["actual_batch"]) == (16, 12)
    assert found["notes"] == ["a batch of 16 was asked for, and 12 was achieved"]
    assert found["health"] == {
        "ok": True,
        "why": None,
        "elf": 1,
        "lm": 0,
        "so": 0,
        "steps": {"EV74": 3, "MLA": 1},
    }
    summary = found["program_summary"]
    assert (summary["code_bytes"], summary["weight_bytes"]) == (10, 100)
    assert (summary["input_bytes"], summary["output_bytes"]) == (48, 64)
    assert summary["unknown"] == [{"name": "tile.latencies", "size": 4, "sample": None}]
    assert not found["normalised"]
    assert found["members"][0]["owner"] == "root" and found["members"][0]["mode"] == "0755"
    assert found["members"][0]["sha256"] and found["members"][0]["size"]
    assert found["plugins"][1]["executable"] == "net_stage1_mla.elf"
    assert found["plugins"][0]["executable"] is None, "a placeholder names no file"


def test_cycles_and_frames_a_second_say_what_they_assume(tmp_path: Path) -> None:
    files = vendor(["quantization_transform", "MLA"])
    timing = shown(tmp_path, files_tarred(files))["timing"]
    assert (timing["cycles"], timing["busy_cycles"]) == (2000, 2000)
    assert (timing["clock_hz"], timing["fps"]) == (1_000_000_000, 500_000.0)
    assert "not for Modalix" in timing["assumed"] and "stalls" in timing["assumed"]
    files["net_stage1_mla_stats.yaml"] = (
        b"0: {name: a, start_cycle: 5, end_cycle: 9}\n1: {name: b, start_cycle: 8, end_cycle: 19}"
    )
    timing = shown(tmp_path, files_tarred(files))["timing"]
    assert timing["gaps"] == {"count": 1, "cycles": 5, "first": [{"name": "a", "cycles": 5}]}
    assert timing["overlaps"] == {"count": 1, "cycles": 2, "first": [{"name": "b", "cycles": 2}]}
    files = vendor(["MLA"], actual_batch_size=8)
    assert shown(tmp_path, files_tarred(files))["timing"]["fps"] is None
    del files["net_stage1_mla_stats.yaml"]
    assert shown(tmp_path, files_tarred(files))["timing"] is None


def test_long_tails_and_other_names_are_noted(tmp_path: Path) -> None:
    files = vendor(["cast_transform", "MLA", *["slice_transform"] * 9])
    found = shown(tmp_path, files_tarred(files), "net.tgz")
    assert [note.split()[0] for note in found["notes"]] == ["9", "the"]
    files["net_stage1_mla.lm"] = files.pop("net_stage1_mla.elf")
    assert ".lm" in shown(tmp_path, files_tarred(files))["notes"][-1]


def test_a_package_in_pieces(tmp_path: Path) -> None:
    """A compiler ends well and leaves 58 programs and 78 shared objects."""
    files = vendor(["quantization_transform", "MLA"])
    files |= {f"{n}.elf": b"\x7fELF" for n in range(57)} | {f"{n}.so": b"\x7fELF" for n in range(78)}
    found = shown(tmp_path, files_tarred(files))
    assert (found["health"]["elf"], found["health"]["so"], found["health"]["ok"]) == (58, 78, False)
    assert "58 programs" in found["health"]["why"]
    assert set(failed(found)) == {"one accelerator program", "no part runs from a shared object"}


def test_no_program_at_all(tmp_path: Path) -> None:
    files = vendor(["quantization_transform"])
    del files["net_stage1_mla.elf"]
    found = shown(tmp_path, files_tarred(files))
    assert found["health"]["elf"] == 0
    assert {"one accelerator program", "the program is an ELF"} <= set(failed(found))


def linked(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as file:
        info = tarfile.TarInfo("link.json")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        file.addfile(info)
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (linked(members()), "regular files only, no links or devices"),
        (files_tarred({**members(), "../evil.json": b"{}"}), "no path out of the folder"),
        (files_tarred({**members(), "/evil.json": b"{}"}), "no absolute or empty path"),
        (files_tarred({**members(), "C:/evil.json": b"{}"}), "no drive letter"),
        (
            files_tarred({**members(), "a\uff0fb.json": b"{}"}),
            "no look-alike of slash, backslash or dot, no control character",
        ),
        (files_tarred({**members(), "./0_preproc.json": b"{}"}), "no name twice"),
        (files_tarred({**members(), "x/0_preproc.json": b"{}"}), "no two members that the loader unpacks to"),
        (files_tarred({**members(), "0_preproc.json": b'{"a": 1, "a": 2}'}), "no key twice in JSON"),
        (files_tarred({**members(), "0_preproc.json": b"[" * 99 + b"]" * 99}), "JSON of at most 64 levels"),
        (files_tarred({**members(), **{f"{n}.txt": b"" for n in range(2100)}}), "at most 2048 entries"),
        (files_tarred({**members(), "zeros": bytes(70 << 20)}), "sizes within the limits"),
    ],
)
def test_what_breaks_a_rule_is_shown_with_the_rule_and_refused_for_running(
    data: bytes, rule: str, tmp_path: Path
) -> None:
    from modelbuild.artifacts.packing import mpk as packing
    from modelbuild.errors import ModelbuildError

    found = shown(tmp_path, data)
    assert any(what.startswith(rule) and why for what, why in failed(found).items())
    assert found["models"][0]["name"] == "digits", "what is safe is shown"
    with pytest.raises(ModelbuildError):
        packing.unpack(data)


def test_configurations_and_the_pipeline(tmp_path: Path) -> None:
    found = shown(tmp_path, mpk.build(mpk_sources.source()))
    assert [step["configuration"] for step in found["pipeline"]] == [
        "0_preproc.json",
        "0_process_mla.json",
        "0_postproc.json",
    ]
    values = {item["name"]: item["values"] for item in found["configurations"]}
    assert values["0_process_mla.json"]["out_tensor_sz"] == 42
    assert found["configurations"][0]["unknown"] == [] and values["0_process_mla.json"]["version"] == 0.1


def test_our_own_is_normalised_and_every_byte_known(tmp_path: Path) -> None:
    found = shown(tmp_path, mpk.build(mpk_sources.source(time=5)))
    assert found["normalised"] and {member["time"] for member in found["members"]} == {5}
    assert all(part["known"] for part in (*found["parts"], *found["unpacked"]["parts"]))
    assert [item["ok"] for item in found["checksums"]] == [True, True]


def test_an_altered_archive_tells_its_checksum(tmp_path: Path) -> None:
    data = bytearray(mpk.build(mpk_sources.source()))
    data[-8] ^= 0xFF
    assert [item["ok"] for item in shown(tmp_path, bytes(data))["checksums"]] == [False, True]
