"""`evaluate`: speed in words, and the layers as a table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from modelbuild.cli.evaluated import number, text
from tests.cli.conftest import Command, edit

LAYER: dict[str, Any] = {
    "bits_weight": 8,
    "name": "stem",
    "op": "Conv",
    "macs": 99,
    "cycles": 7,
    "time_ms": 0.01234567,
    "bound": "compute",
    "utilisation": 0.25,
    "dram_read": 11,
    "dram_write": 12,
    "weights": 13,
    "tiles": 2,
    "stall_cycles": 3,
    "estimated": False,
}
FOUND: dict[str, Any] = {
    "model": "net",
    "built": False,
    "may_divide": None,
    "chip": "kl720",
    "fps": 123.456,
    "confidence": "fitted",
    "confidence_sources": {"clock_hz": "a guess of ours"},
    "total_ms": 8.1,
    "time_ms": 6.0,
    "cpu_time_ms": 2.1,
    "pictures_per_inference": 1,
    "pictures_per_second": 123.456,
    "time_no_overlap_ms": 6.0,
    "overlap_saved_ms": 0.0,
    "macs": 12_340_000,
    "macs_npu": 12_340_000,
    "macs_source": 12_340_000,
    "cycles": 4200,
    "mac_utilisation": 0.456,
    "bound": "compute",
    "batching": {"desired": None, "achieved": 1, "reasons": []},
    "energy_mj": None,
    "weight_compress": {"wanted": False, "counted": "unpacked", "because": None},
    "deep": None,
    "groups": 3,
    "dram": {
        "read": 2_000_000,
        "write": 1_000_000,
        "weights": 500_000,
        "total": 3_500_000,
        "bandwidth_average": 583e6,
        "ratio": 1.4,
    },
    "memory": {"sram_peak": 900_000, "sram": 1_048_576, "dram_peak": 5_000_000, "room": 64_000_000},
    "fits": True,
    "cpu_nodes": [{"op": "Softmax", "name": "last", "reason": "not on the NPU", "time_ms": 2.1}],
    "unsupported": [{"op": "Det", "name": "d", "reason": "no unit of kl720 runs Det"}],
    "layers": [LAYER],
}


def test_a_file_as_built_and_what_calibration_may_add() -> None:
    assert "as built" not in text(FOUND, False) and "split" not in text(FOUND, False)
    assert "CPU 2.1 ms (26%); of the file as built\n" in text({**FOUND, "built": True}, False)
    told = text({**FOUND, "may_divide": 1}, False).splitlines()[2]
    assert "calibration may divide channels (`split`, at 1 place or fewer)" in told


def test_what_is_said_of_one_model() -> None:
    lines = text(FOUND, layers=False).splitlines()
    assert lines == [
        "net on kl720: 123.5 fps, confidence fitted",
        "  8.1 ms: NPU 6 ms, CPU 2.1 ms (26%)",
        "  12.34 MMACs, 4200 cycles, 46% of the array; most of them: compute",
        "  the engines take turns: with overlap or without it is the same time",
        "  DRAM: read 2 MB, write 1 MB, weights 500 kB; 583 MB/s; 1.40 times the least there can be",
        "  memory: on the chip 900 kB of 1.049 MB, DRAM 5 MB of 64 MB",
        "  on the CPU: Softmax last: not on the NPU, 2.1 ms",
        "  nothing runs Det d: no unit of kl720 runs Det; the time is without it",
    ]
    assert text(FOUND, layers=True).splitlines()[-1].split() == [
        *("stem", "99", "7", "0.01235", "compute", "25%", "11", "12", "13", "2", "3")
    ]


def test_what_is_said_besides() -> None:
    batching = {"desired": 8, "achieved": 2, "reasons": ["Reshape `r` folds it"]}
    pair = {"layers": ["stem"], "measured": ["conv"], "predicted_ms": 1.0, "measured_ms": 2.0, "ratio": 0.5}
    pair |= {"joined_by": "order"}
    measured = {"of": "total", "total_ms": 12.0, "predicted_ms": 6.0, "ratio": 0.5, "layers": [pair]}
    slow = {"name": "stem", "time_ms": 1.0, "share": 0.5, "bound": "dma", "because": "maps go to DRAM"}
    more = {
        **FOUND,
        "confidence": "guess",
        "overlap_saved_ms": 1.5,
        "time_no_overlap_ms": 7.5,
        "batching": batching,
        "pictures_per_inference": 4,
        "pictures_per_second": 493.824,
        "energy_mj": 3.0,
        "deep": {"taken": True, "reason": "", "saves_ms": 0.5, "saves_bytes": 2_000_000, "default_groups": 9},
        "fits": False,
        "weight_compress": {"wanted": True, "counted": "unpacked", "because": "it depends"},
        "replaced": {
            "clock_hz": {"value": 5e8, "instead_of": 7e8},
            "batch": {"value": 8, "instead_of": None},
        },
        "layers": [{**LAYER, "estimated": True}],
        "slowest": [slow],
        "help": [{"change": "tiling: deep", "time_ms": 4.0, "total_ms": 6.1}],
        "measured": {**measured, "unmatched": {"measured": ["odd"], "layers": ["b", "c"]}},
    }
    said = text(more, layers=False)
    for line in (
        "  no layer is called conv: joined in order",
        "  clock_hz: a guess of ours",
        "  an inference is 4 pictures, as the model was exported: 493.8 pictures a second",
        "4200 cycles for 2 pictures",
        "without overlap of engines 7.5 ms",
        "batch 8 is not reached: Reshape `r` folds it",
        "energy 3 mJ",
        "  assumed here alone: clock_hz 500 MHz, not 700 MHz; batch 8, not the model's own",
        "  weight_compress is wanted; weights are counted as they are, which is an upper bound",
        "tiling deep saves 0.5 ms and 2 MB of traffic: layers in 3 groups, not 9",
        "DRAM 5 MB of 64 MB: it does not fit",
        "net on kl720: 123.5 fps, confidence guess, DOES NOT FIT the memory of the chip (clock_hz)",
        "no fixed-point form of Conv stem: its time is an estimate",
        "slowest: stem, 1 ms (50%), dma: maps go to DRAM",
        "would help: tiling: deep: 4 ms, with the CPU 6.1 ms",
        "measured 12 ms of NPU and CPU, predicted 6 ms: 0.50",
        "no layer is called odd",
        "not measured: b, c",
    ):
        assert line in said
    kept = {**FOUND, "deep": {"taken": False, "reason": "deep tiling is no better"}}
    assert "  deep tiling is no better; the default stays\n" in text(kept, layers=False)
    assert "the engines take turns" not in said
    assert "weight_compress" not in text(FOUND, layers=False)
    narrow = {**FOUND, "layers": [{**LAYER, "bits_weight": 4}]}
    line = "  weights of 4 bits are counted as 8 bits each, in bytes and time"
    assert [line in text(found, layers=False) for found in (narrow, FOUND)] == [True, False]


def test_deep_tiling_that_costs_something() -> None:
    """Where the default does not fit into DRAM."""
    deep = {"taken": True, "reason": "", "saves_ms": 0.5, "saves_bytes": -260_000, "default_groups": 9}
    said = text({**FOUND, "deep": deep}, layers=False)
    assert "tiling deep saves 0.5 ms and costs 260 kB of traffic: layers in 3 groups" in said


def test_how_fast_the_cpu_is_taken_to_be() -> None:
    rate = {"operations_per_second": 1e8, "sure": "guess", "sources": {}}
    lines = text({**FOUND, "cpu_rate": rate}, layers=False).splitlines()
    line = "the CPU is taken to do 100 million operations a second (guess); what only moves reads and writes"
    assert f"  {line} each byte" in lines


def test_why_it_does_not_fit() -> None:
    because = "net needs 9 bytes of DRAM; a model on kl720 may take 8: weights 9"
    said = {**FOUND, "fits": False, "fits_because": because}
    lines = text(said, layers=False).splitlines()
    assert lines[lines.index(f"  {because}") - 1].endswith("DRAM 5 MB of 64 MB: it does not fit")


TINY = "recipe: 1\nextends: kl720\nchip: tiny\ncontainer: {max_model_bytes: 60}\n"


def test_a_model_that_is_too_large_has_a_speed_of_a_file_and_of_a_manifest(
    copied: Path, command: Command
) -> None:
    """Its parameters alone are more than the chip holds: predicted, and no build makes it."""
    (copied / "tiny.yaml").write_text(TINY, encoding="utf-8")
    edit(copied, "nef: {chip: kl720}", "nef: {chip: ./tiny.yaml}")
    of_file = command(copied, "evaluate", "small.onnx", "--chip", str(copied / "tiny.yaml"), "--json").json
    said = command(copied, "evaluate", "small@nef", "--json")
    of_target = said.json
    assert said.code == 0 and of_target.pop("target") == "nef"
    assert of_target == of_file and not of_file["fits"] and of_file["fps"] > 0
    assert "a model on tiny may take 60: " in of_file["fits_because"]
    text = command(copied, "evaluate", "small@nef").out
    assert "DOES NOT FIT" in text and f"\n  {of_file['fits_because']}\n" in text
    slow = command(copied, "evaluate", "small@nef", "--clock", "350e6", "--json")
    assert slow.code == 0 and not slow.json["fits"]
    until = command(copied, "build", "small@nef", "--until", "evaluate")
    assert until.code == 0 and f"it does not fit: {of_file['fits_because']}" in until.out
    built = command(copied, "build", "small@nef")
    assert built.code == 1 and "MB107" in built.err


def test_each_chip_says_whether_the_model_fits(copied: Path, command: Command) -> None:
    (copied / "tiny.yaml").write_text(TINY, encoding="utf-8")
    words = ("evaluate", "small.onnx", "--compare", f"kl720,{copied / 'tiny.yaml'}")
    rows = command(copied, *words, "--json").json["compare"]
    assert [row["fits"] for row in rows] == [True, False]
    assert rows[0]["fits_because"] is None and "may take 60" in rows[1]["fits_because"]
    assert rows[0]["macs_source"] == rows[0]["macs"] > 0
    lines = command(copied, *words).out.splitlines()
    assert f"tiny: does not fit: {rows[1]['fits_because']}" in lines


def test_nodes_on_the_cpu_of_one_kind_are_one_line() -> None:
    nodes = [{"op": "Mul", "name": f"m{n}", "reason": f"no NPU: m{n}", "time_ms": 1.5} for n in range(5)]
    said = text({**FOUND, "cpu_nodes": [*nodes, *FOUND["cpu_nodes"]]}, layers=False).splitlines()
    told = [line for line in said if "on the CPU" in line]
    assert told == [
        "  on the CPU: Mul m0, m1 … m4 (5 nodes): no NPU: m0, 7.5 ms",
        "  on the CPU: Softmax last: not on the NPU, 2.1 ms",
    ]


def test_multiplications_that_the_model_has_not_are_told() -> None:
    more = {**FOUND, "macs": 122.88e9, "macs_npu": 120e9, "macs_source": 108.39e9, "bound": None}
    line = text(more, layers=False).splitlines()[2]
    assert line == (
        "  122.9 GMACs (2.88 GMACs of them on the CPU; 108.4 GMACs in the model before it was made fit for "
        "the chip), 4200 cycles, 46% of the array"
    )
    layers = [{**LAYER, "name": name, "macs_added": 3_000_000} for name in "abcd"]
    said = text({**more, "layers": [*layers, {**LAYER, "macs_added": 0}]}, layers=False).splitlines()
    assert said[3] == "  12 MMACs that the model has not, by how the chip runs a, b … d (4 layers)"
    fewer = {**FOUND, "macs_source": 12_340_001}
    assert "(12.34 MMACs in the model before" in text(fewer, layers=False)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0, "0"),
        (123.456, "123.5"),
        (529912.0, "529,900"),
        (0.00001234, "0.00001234"),
        (None, "not available"),
    ],
)
def test_numbers_have_no_exponents(value: float | None, said: str) -> None:
    assert number(value) == said


def test_what_is_not_known_is_not_a_number() -> None:
    unknown = {**FOUND, "fps": None, "total_ms": None, "cpu_time_ms": None, "mac_utilisation": None}
    said = text(unknown, layers=False)
    assert "net on kl720: not available fps" in said
    assert "  not available ms: NPU 6 ms, CPU not available ms" in said


def test_chips_side_by_side(small: Path, command: Command) -> None:
    words = ("evaluate", "small.onnx", "--compare", "kl520,kl720,modalix")
    found = command(small, *words, "--json").json
    assert [row["chip"] for row in found["compare"]] == ["kl520", "kl720", "modalix"]
    assert [item["chip"] for item in found["models"]] == ["kl520", "kl720", "modalix"]
    alone = command(small, "evaluate", "small.onnx", "--chip", "kl720", "--json").json
    assert found["models"][1] == alone
    assert found["compare"][1]["fps"] == alone["fps"] and min(row["speed"] for row in found["compare"]) == 1
    lines = command(small, *words).out.splitlines()
    assert all(row["fits"] is True for row in found["compare"])
    assert "fits" in lines[1].split() and "yes" in lines[2].split()
    assert lines[0] == "small" and [line.split()[0] for line in lines[2:5]] == ["kl520", "kl720", "modalix"]
    more = command(small, "evaluate", "small.onnx", "--compare", "kl520, kl720", "--advise", "--layers").out
    assert any(line.startswith("kl720:  slowest: ") for line in more.splitlines())
    first = found["models"][1]["layers"][0]["name"]
    assert [line.split()[0] for line in more.splitlines() if line].count(first) == 2
    assert any(line.startswith("modalix: confidence guess (") and "clock_hz" in line for line in lines)


def test_assumptions_change_the_prediction(small: Path, command: Command) -> None:
    def found(*words: str) -> dict[str, Any]:
        return command(small, "evaluate", "small.onnx", "--chip", "kl720", *words, "--json").json

    plain = found()
    assert found("--clock", "350e6", "--bandwidth", "4.2895e9")["time_ms"] == pytest.approx(
        2 * plain["time_ms"], rel=0.02
    )
    slow = found("--read-bandwidth", "1e7")
    assert slow["cycles"] > plain["cycles"] and slow["dram"]["read"] == plain["dram"]["read"]
    assert found("--weight-bandwidth", "1e7")["layers"][0]["weight_cycles"] > 100
    wide = found("--activations", "int16", "--weights-bits", "int16")
    assert wide["layers"][0]["bits_out"] == 16 and wide["layers"][0]["bits_weight"] == 16
    assert wide["dram"]["total"] > plain["dram"]["total"] and wide["cycles"] > plain["cycles"]
    four = found("--batch", "4")
    assert four["batch"] == 4 and four["batching"]["reasons"] == [] and four["cycles"] > plain["cycles"]
    assert found("--tiling", "deep")["time_ms"] <= plain["time_ms"]


def test_the_vendors_report_is_written(small: Path, command: Command, tmp_path: Path) -> None:
    words = ("evaluate", "small.onnx", "--format", "kneron", "-o", str(tmp_path))
    told = command(small, *words, "--chip", "kl520", "--json").json
    assert told["report"] == str(tmp_path / "ip_eval_prof.txt")
    assert told["report_nodes"] == str(tmp_path / "model_fx_report.csv")
    rows = (tmp_path / "model_fx_report.csv").read_text().splitlines()
    assert rows[0] == ",node,node origin,type,node backend" and len(rows) == 1 + len(told["nodes"])
    assert {row.split(",")[3] for row in rows[1:]} == {node["type"].upper() for node in told["nodes"]}
    assert f"total time = {told['time_ms']:g} ms\n" in (tmp_path / "ip_eval_prof.txt").read_text()
    told = command(small, *words, "--chip", "kl720", "--json").json
    written = (tmp_path / "ProfileResult.txt").read_text()
    assert "Frequency = 700 Mhz\n" in written and f"output_fps = {told['npu_fps']:g}\n" in written
    said = command(small, *words, "--chip", "modalix")
    assert said.code == 2 and "has no report in the form of kneron" in said.err
    named = str(tmp_path / "stats.yaml")
    words = ("evaluate", "small.onnx", "--format", "sima", "-o", named, "--chip", "modalix")
    assert f"  written: {named}" in command(small, *words).out
    assert "stall_cycles" in (tmp_path / "stats.yaml").read_text()
    named = (
        "evaluate",
        "small.onnx",
        "--format",
        "kneron",
        "-o",
        str(tmp_path / "ours.txt"),
        "--chip",
        "kl720",
    )
    assert f"written: {tmp_path / 'ours.txt'}, {tmp_path / 'ours.nodes.csv'}\n" in command(small, *named).out
    (tmp_path / "ours.nodes.csv").write_text("my own")
    (tmp_path / "ours.txt").unlink()
    said = command(small, *named)
    assert said.code == 2 and "ours.nodes.csv" in said.err and not (tmp_path / "ours.txt").exists()
    assert (tmp_path / "ours.nodes.csv").read_text() == "my own"


def test_a_report_overwrites_nothing_but_a_report(copied: Path, command: Command) -> None:
    words = ("evaluate", "small.onnx", "--chip", "kl720", "--format", "kneron")
    (copied / "notes.txt").write_text("my own")
    (copied / "old.txt").write_text("[Evaluation Result]\n")  # of another kind
    (copied / "link.txt").symlink_to("small.onnx")
    for name, says in (
        ("small.onnx", "would overwrite the model"),
        ("link.txt", "would overwrite the model"),
        ("models.yaml", "would overwrite the manifest"),
        ("notes.txt", "would overwrite a file that is no such report"),
        ("old.txt", "would overwrite a file that is no such report"),
        (".modelbuild/x", "cannot write into .modelbuild"),
    ):
        before = (copied / name).read_bytes() if (copied / name).is_file() else None
        said = command(copied, *words, "-o", name)
        assert said.code == 2 and says in said.err and said.out == "", name
        assert ((copied / name).read_bytes() if before is not None else None) == before
    assert command(copied, *words).code == command(copied, *words).code == 0
    path = copied / "ProfileResult.txt"
    board = path.read_text().replace("output_total_time = ", "output_total_time = 9")
    path.write_text(board)
    said = command(copied, *words, "--measured", "ProfileResult.txt")
    assert (
        said.code == 2
        and "would overwrite the file of measured times" in said.err
        and path.read_text() == board
    )
    command(copied, *words, "--measured", "ProfileResult.txt", "-o", "ours.txt")
    assert path.read_text() == board and (copied / "ours.txt").is_file()


def test_a_boards_times_beside(small: Path, command: Command, tmp_path: Path) -> None:
    words = ("evaluate", "small.onnx", "--chip", "kl720")
    plain = command(small, *words, "--json").json
    first = plain["layers"][0]
    (tmp_path / "board.csv").write_text(f"layer,ms\n{first['name']},{2 * first['time_ms']}\ntotal,9\n")
    found = command(small, *words, "--measured", str(tmp_path / "board.csv"), "--json").json["measured"]
    assert found["total_ms"] == 9 and found["layers"][0]["ratio"] == pytest.approx(0.5)
    said = command(small, *words, "--measured", str(tmp_path / "board.csv"))
    assert "  measured 9 ms of NPU and CPU, predicted" in said.out
    said = command(small, *words, "--measured", str(tmp_path / "none.csv"))
    assert said.code == 2 and "cannot be read" in said.err


def test_a_selection_has_a_paragraph_each(small: Path, command: Command) -> None:
    said = command(small, "evaluate")
    paragraphs = said.out.strip().split("\n\n")
    assert [text.split(":")[0] for text in paragraphs] == [
        "small@nef on kl720",
        "small@mpk on modalix",
        "small@old on kl520",
    ]
    one = command(small, "evaluate", "small@old", "--json").json
    assert (one["model"], one["target"], one["chip"]) == ("small", "old", "kl520")
    assumed = command(small, "evaluate", "--json", "--clock", "5e8").json["models"]
    assert [item["target"] for item in assumed] == ["nef", "mpk", "old"]
    listed = command(small, "evaluate", "--json").json["models"]
    assert [item["chip"] for item in listed] == ["kl720", "modalix", "kl520"] and one in listed


def test_a_model_of_a_manifest_under_other_assumptions(copied: Path, command: Command) -> None:
    """What is assumed is told, and `evaluate.json` of the build stays what it is."""

    def found(*words: str) -> Any:
        return command(copied, "evaluate", *words, "--json").json

    built = found("small@nef")
    assert "replaced" not in built and found("small@nef", "--tiling", "default") == built
    slow = found("small@nef", "--clock", "350e6", "--batch", "4")
    assert slow["replaced"] == {
        "clock_hz": {"value": 350e6, "instead_of": 700e6},
        "batch": {"value": 4, "instead_of": None},
    }
    assert slow["batch"] == 4 and slow["cycles"] > built["cycles"]
    assert slow.pop("target") == "nef"
    assert slow == found("small.onnx", "--chip", "kl720", "--clock", "350e6", "--batch", "4")
    assert found("small@nef") == built
    said = command(copied, "evaluate", "small@nef", "--clock", "350e6")
    assert "  assumed here alone: clock_hz 350 MHz, not 700 MHz" in said.out.splitlines()
    several = found("--bandwidth", "1e9", "--advise")["models"]
    assert [item["chip"] for item in several] == ["kl720", "modalix", "kl520"]
    assert all(len(item["replaced"]) == 3 for item in several)
    wide = found("small@nef", "--activations", "int16")
    assert wide["replaced"] == {"activations": {"value": "int16", "instead_of": "int8"}}


def test_what_the_target_says_is_the_base(copied: Path, command: Command) -> None:
    edit(copied, "old: {chip: kl520}", "old: {chip: kl520, compile: {batch: 4, tiling: deep}}")
    found = command(copied, "evaluate", "small@old", "--clock", "1e8", "--json").json
    assert found["batch"] == 4 and found["tiling"] == "deep" and list(found["replaced"]) == ["clock_hz"]
    found = command(copied, "evaluate", "small@old", "--batch", "2", "--json").json
    assert found["batch"] == 2 and found["replaced"] == {"batch": {"value": 2, "instead_of": 4}}


def test_times_reports_and_chips_beside_a_model_of_a_manifest(copied: Path, command: Command) -> None:
    def found(*words: str) -> Any:
        return command(copied, "evaluate", "small@nef", *words, "--json").json

    built = found()
    (copied / "board.csv").write_text(f"layer,ms\n{built['layers'][0]['name']},7\ntotal,9\n")
    measured = found("--measured", "board.csv")
    assert measured["measured"]["total_ms"] == 9 and measured["cycles"] == built["cycles"]
    told = found("--format", "kneron")
    assert told["report"] == str(copied / "ProfileResult.txt") and (copied / "ProfileResult.txt").is_file()
    both = found("--compare", "kl520,kl720,modalix")
    assert [row["chip"] for row in both["compare"]] == ["kl520", "kl720", "modalix"]
    assert both["models"][1] == built
    for item in (both["models"][0], both["models"][2]):
        assert item == command(copied, "evaluate", "small.onnx", "--chip", item["chip"], "--json").json
    older = command(copied, "evaluate", "small@old", "--edition", "v0.15.5", "--json").json
    assert older["replaced"] == {"edition": {"value": "v0.15.5", "instead_of": "v0.33.1"}}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("small.onnx",), "which chip?"),
        (("small@nef", "--chip", "kl520"), "a target names its chip"),
        (("small@nef", "--input", "image=1,3,8,8"), "--input is for a model file, not for what a manifest"),
        (("small@nef", "--weights", "w.bin"), "the manifest names the file"),
        (("small@old", "--activations", "int16"), "int16 is not available"),
        (("small@nef", "--compare", "kl520,kl520"), "each chip once"),
        (("small@nef", "--compare", "kl520", "--measured", "t.csv"), "are of one chip"),
        (("small@nef", "--measured", "none.csv"), "cannot be read"),
        (("small@nef", "-o", "x"), "add --format"),
        (("small", "--measured", "t.csv"), "a board's times are those of one model on one chip"),
        (("small@nef", "small@old", "--format", "kneron"), "a vendor's report is of one model on one chip"),
        (("--edition", "v0.15.5"), "--edition takes one model on one target"),
        (
            ("small@nef", "small@old", "--compare", "kl520"),
            "--compare takes one model, a file or MODEL@TARGET",
        ),
        (("small@old", "--edition", "v9"), "kl520 has no edition `v9`"),
        (("small.onnx", "--compare", "kl520,kl520"), "each chip once"),
        (("small.onnx", "--compare", "kl520", "--chip", "kl720"), "leave --chip out"),
        (("small.onnx", "--compare", "kl720,kl520", "--activations", "int16"), "not available on kl520"),
        (("small.onnx", "--chip", "modalix", "--activations", "bfloat16"), "count fixed-point numbers"),
        (("small.onnx", "--chip", "modalix", "--activations", "mixed"), "can assume int8, int16 there"),
        (("small.onnx", "--compare", "kl520,kl720", "--format", "kneron"), "are of one chip"),
        (("small.onnx", "--chip", "kl720", "-o", "x"), "add --format"),
        (("small.onnx", "--chip", "kl720", "--bandwidth", "9.5"), "did you mean 9.5e+09 (bytes a second)?"),
        (("small.onnx", "--chip", "kl720", "--bandwidth", "1e20"), "--bandwidth must be from 1e+06 to 1e+13"),
        (("small.onnx", "--chip", "kl720", "--weight-bandwidth", "0"), "--weight-bandwidth must be from"),
        (("small@nef", "--read-bandwidth", "4GB"), "takes a number of bytes a second, not `4GB`"),
        (("small.onnx", "--chip", "kl720", "--clock", "700"), "did you mean 7e+08 (Hz)?"),
        (("small.onnx", "--chip", "kl720", "--clock", "1.2"), "did you mean 1.2e+09 (Hz)?"),
        (("small.onnx", "--chip", "kl720", "--clock", "1e300"), "--clock must be from 1e+06 to 1e+10 Hz"),
        (("small.onnx", "--chip", "kl720", "--clock", "nan"), "--clock must be from 1e+06"),
        (("small.onnx", "--chip", "kl720", "--clock", "700MHz"), "takes a number of Hz, not `700MHz`"),
        (("small.onnx", "--chip", "kl720", "--batch", "0"), "`batch` must be greater than 0"),
        (("small.onnx", "--chip", "kl520", "--activations", "int16"), "int16 is not available"),
        (("a.onnx", "b.onnx", "--chip", "kl720"), "--chip takes one model file"),
        (("small.onnx", "--chip", "kl720", "--input", "image=1,x"), "`image=1,x` is not a shape"),
    ],
)
def test_wrong_words(small: Path, command: Command, words: tuple[str, ...], says: str) -> None:
    said = command(small, "evaluate", *words)
    assert said.code == 2 and says in said.err and said.out == ""


def test_open_inputs_are_told_at_once_with_the_option_that_closes_them(
    copied: Path, command: Command
) -> None:
    path = copied / "open.onnx"
    kind = onnx.TensorProto.FLOAT
    ports: dict[str, list[str | int | None]] = {"a": ["batch", 3, 8, 8], "b": [1, 3, "rows", 8]}
    node = onnx.helper.make_node("Add", ["a", "b"], ["c"])
    graph = onnx.helper.make_graph(
        [node],
        "open",
        [onnx.helper.make_tensor_value_info(name, kind, shape) for name, shape in ports.items()],
        [onnx.helper.make_tensor_value_info("c", kind, None)],
    )
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)]), path)
    said = command(copied, "evaluate", "open.onnx", "--chip", "kl720")
    assert said.code == 2 and "`a`: [batch, 3, 8, 8], `b`: [1, 3, rows, 8]" in said.err
    assert "do:  say them: --input a=1,3,8,8 --input b=1,3,<?>,8" in said.err
    assert "models.yaml" not in said.err
    words = ["--input", "a=1,3,8,8", "--input", "b=1,3,8,8"]
    assert command(copied, "evaluate", "open.onnx", "--chip", "kl720", *words).code == 0


def test_another_edition_of_the_operator_table(tmp_path: Path, command: Command) -> None:
    weight = onnx.numpy_helper.from_array(np.zeros((4, 3, 3, 3), np.float32), "w")
    ports = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
        for name, shape in (("x", [1, 3, 27, 27]), ("y", [1, 4, 9, 9]))
    ]
    nodes = [onnx.helper.make_node("Conv", ["x", "w"], ["y"], name="c", strides=[3, 3], pads=[1] * 4)]
    graph = onnx.helper.make_graph(nodes, "net", ports[:1], ports[1:], [weight])
    opset = [onnx.helper.make_opsetid("", 17)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=8), tmp_path / "net.onnx")
    words = ("evaluate", "net.onnx", "--chip", "kl520")
    assert command(tmp_path, *words, "--json").json["unsupported"] == []
    (node,) = command(tmp_path, *words, "--edition", "v0.15.5", "--json").json["unsupported"]
    assert node["name"] == "c" and "stride 3 is not 1 or 2 or 4" in node["reason"]
    text = command(tmp_path, *words, "--edition", "v0.15.5")
    assert text.code == 0 and "  nothing runs Conv c: stride 3 is not 1 or 2 or 4 on kl520" in text.out
    said = command(tmp_path, *words, "--edition", "v9")
    assert said.code == 2 and "kl520 has no edition `v9`" in said.err
