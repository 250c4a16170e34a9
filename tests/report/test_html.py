"""The page: whole, self-contained, safe, the same each time, and showing what the report says."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from modelbuild.report.build import MODEL_ROLES
from modelbuild.report.html import render
from tests.report.stage_files import Maker, stages

VOID = {"meta", "br", "hr", "img", "input", "link"}


class Reader(HTMLParser):
    """Checks that tags balance; gathers tables by caption, text, ids, links and attributes."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.text: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: list[str] = []
        self.tables: dict[str, list[list[str]]] = {}
        self.cell: list[str] | None = None
        self.rows: list[list[str]] = []
        self.caption = ""

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        found = dict(attributes)
        if found.get("id"):
            self.ids.append(str(found["id"]))
        for name, value in attributes:
            assert not name.startswith("on"), f"a script in {name}"
            if name in ("href", "src", "action", "data", "xlink:href"):
                self.links.append(str(value))
        if tag == "table":
            self.rows, self.caption = [], ""
        elif tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th", "caption"):
            self.cell = []
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]}"
        self.open.pop()
        content = " ".join("".join(self.cell or []).split())
        if tag == "caption":
            self.caption = content
        elif tag in ("td", "th"):
            self.rows[-1].append(content)
        elif tag == "table":
            self.tables[self.caption] = self.rows

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "script"):
            self.text.append(data)
            if self.cell is not None:
                self.cell.append(data)


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert not reader.open
    assert len(reader.ids) == len(set(reader.ids))
    assert all(link.startswith("#") and link[1:] in reader.ids for link in reader.links)
    assert "script" not in reader.tags and "link" not in reader.tags
    assert not re.search(r"https?:|//[a-z]|url\(|@import", page)
    return reader


def words(reader: Reader) -> str:
    return " ".join("".join(reader.text).split())


def test_a_good_page_shows_every_part(maker: Maker) -> None:
    reader = read(render(maker.collect()))
    text = words(reader)
    for part in (
        "doorbell passed",
        "Not for silicon",
        "Kneron KL720",
        "Every stage came through",
        "id 32769",
    ):
        assert part in text
    gates = reader.tables["Gates: the bounds of accept: and what was measured"]
    assert gates[3] == ["face_detect", "snr_db of scores", "", "38.25", "at least 30", "✓ holds"]
    assert gates[4] == ["face_detect", "top1_drop", "0.9875", "0.0025", "at most 0.01", "✓ holds"]
    layers = reader.tables["Layers"]
    assert len(layers) == 1 + 24
    assert layers[1][0] == "1" and layers[1][1].startswith("backbone/stage0/conv_0")
    assert layers[1][2:] == [
        *["npu", "4.00 M", "13,333", "0.0190", "–", "–", "29.3 %"],
        *["0 B"] * 3,
        "compute",
        "52.0",
    ]
    outputs = reader.tables["Outputs: fixed point against float"]
    assert outputs[2] == ["boxes", "21.5", "22.0", "0.996500", "0.310"]
    assert reader.tables["Accuracy on 400 labelled samples"][1] == ["Top-1", "98.75 %", "98.50 %", "0.25"]
    assert reader.tables["CPU nodes: what the NPU does not run"][1][:2] == ["softmax", "Softmax"]
    finding = reader.tables["What the checks of operators, samples and results have to say"][1]
    assert finding[:3] == ["MB102", "warning", "softmax"] and "cut the model" in finding[3]
    assert reader.tables["The package"][1] == ["models_720.sim.nef", "349,184", "ab" * 32]
    image = reader.tables["real = scale × (integer − zero point)"][1]
    assert image[:6] == ["image", "input", "float32", "1 × 3 × 240 × 320", "0.00781250", "0"]
    assert "fill 114" in image[6] and "mean 127, 128, 129" in image[6] and "range -0.992 to 1.00" in image[6]
    assert "give the fixed-point model's outputs in every bit" in text


def test_charts_have_axes_bars_and_names(maker: Maker) -> None:
    page = render(maker.collect())
    assert page.count("<svg") == 3
    assert page.count('<rect class="bar worst"') == 5
    for label in ("SNR, dB", "time, ms", "MAC utilisation, %"):
        assert f">{label}</text>" in page
    for caption in (
        "SNR of each operator",
        "Predicted time of each layer",
        "Use of the MAC array by each layer",
    ):
        assert f'role="img" aria-label="{caption}' in page
    assert "<title>backbone/stage2/conv_13: 29.3 dB</title>" in page
    assert "Lowest:" in page and "backbone/stage2/conv_13 29.3 dB" in page


@pytest.mark.parametrize("role", MODEL_ROLES)
def test_a_failed_stage_has_its_section(maker: Maker, role: str) -> None:
    maker.fail(
        role, f"{role} broke", where="node conv_3", why="of a reason", advice="turn it round", code="MB7"
    )
    text = words(read(render(maker.collect())))
    assert "doorbell failed" in text
    assert f"{MODEL_ROLES[role]} failed" in text
    for part in (f"node conv_3: {role} broke MB7", "Why: of a reason", "What to do: turn it round"):
        assert part in text


def test_what_did_not_run_is_listed_apart(maker: Maker) -> None:
    maker.fail("compile", "too large")
    maker.fail("hardware", "not built", "skipped", why="face_detect@cam:compile failed")
    maker.fail("package", "not built", "skipped", why="face_detect@cam:compile failed")
    reader = read(render(maker.collect()))
    text = words(reader)
    assert "Some stages failed. 1 of 5 could not be measured." in text
    assert "Model face_detect: Compilation failed: too large" in text
    assert text.index("Compilation failed too large") < text.index(
        "Hardware against fixed point: face_detect@cam"
    )
    assert "There is no package." in text
    gates = reader.tables["Gates: the bounds of accept: and what was measured"]
    assert gates[-1] == ["face_detect", "hardware equals fixed", "", "not available", "yes", "not available"]


def test_nothing_but_failures_still_makes_a_page(maker: Maker) -> None:
    for role in MODEL_ROLES:
        maker.fail(role, "not built", "skipped")
    maker.fail("source", "a Git LFS pointer, not the file itself")
    maker.fail("package", "not built", "skipped")
    text = words(read(render(maker.collect())))
    assert "Reading the source failed a Git LFS pointer" in text


def test_differing_hardware_names_the_tensors(maker: Maker) -> None:
    maker.stages["hardware"].update(
        equal=False,
        outputs=[{"name": "scores", "equal": False, "differing": 12}],
        layers=[
            {"name": "a", "equal": True, "differing": 0},
            {"name": "b", "equal": False, "differing": 3400},
        ],
    )
    reader = read(render(maker.collect()))
    assert reader.tables["Where hardware differs from fixed point"][1:] == [["scores", "12"], ["b", "3,400"]]
    assert "The packaged bytes do not give the fixed-point model's values." in words(reader)


def test_the_first_value_that_differs_is_told(maker: Maker) -> None:
    first = {"in": "layers", "name": "b", "sample": 2, "element": [0, 3, 1], "found": -7, "expected": 12}
    maker.stages["hardware"].update(equal=False, first_difference=first)
    found = maker.collect()
    hardware = found.models[0].hardware
    assert hardware is not None and hardware.first_difference is not None
    assert found.to_json()["models"][0]["hardware"]["first_difference"] == first
    said = "The first to differ is b, in sample 2 at [0, 3, 1]: -7 in place of 12."
    assert said in words(read(render(found)))


def test_layers_that_the_program_does_not_leave_are_counted(maker: Maker) -> None:
    maker.stages["hardware"].update(unseen=["r", "s"])
    assert "(2 are not in the program, which computes them together with others)" in words(
        read(render(maker.collect()))
    )


def test_layers_that_were_seen_through_their_parts_are_counted(maker: Maker) -> None:
    assert "through their parts" not in words(read(render(maker.collect())))
    for layer in maker.stages["hardware"]["layers"][:2]:
        layer["through"] = ["p", "q"]
    text = words(read(render(maker.collect())))
    assert "tensors on the way (2 of them through their parts, in whose place they lie)" in text
    compared = len(maker.stages["hardware"]["layers"])
    first = maker.stages["hardware"]["layers"][0]
    del first["equal"], first["differing"]
    text = words(read(render(maker.collect())))
    assert (
        f"so do all {compared - 1} tensors on the way (1 of them through their parts, in whose place they "
        "lie) (1 more only repeat parts that were compared)"
    ) in text


def test_cycles_as_they_were_predicted(maker: Maker) -> None:
    maker.stages["hardware"].update(cycles=1234, cycles_predicted=1234)
    maker.stages["compile"].update(batch={"desired": 4, "achieved": 4, "reasons": []})
    text = words(read(render(maker.collect())))
    assert "1,234 cycles were counted, those that the compiler predicted, for 4 pictures." in text


def test_a_batch_that_was_not_achieved_is_told_with_its_reason(maker: Maker) -> None:
    assert maker.collect().models[0].batch is None
    reason = "`Flatten_3` (reshape) folds dimension 0: [1, 2, 3] becomes [6]"
    finding = {"code": "MB114", "severity": "warning", "message": reason, "advice": "", "node": "Flatten_3"}
    maker.stages["compile"].update(
        batch={"desired": 16, "achieved": 1, "reasons": [reason]}, findings=[finding]
    )
    found = maker.collect()
    assert [one.code for one in found.models[0].findings or ()][-1] == "MB114"
    assert f"16 were wanted: {reason}" in words(read(render(found)))
    maker.stages["compile"].update(batch={"desired": None, "achieved": 1, "reasons": []})
    assert maker.collect().models[0].batch is None


def test_hardware_that_was_not_run_is_not_called_equal(maker: Maker) -> None:
    maker.stages["hardware"].update(equal=None, samples=0, outputs=[], layers=[], cycles=None)
    text = words(read(render(maker.collect())))
    assert "The packaged bytes were not run" in text and "hardware equals fixed" not in text


def test_samples_that_calibrated_are_called_optimistic(maker: Maker) -> None:
    maker.stages["fixed"]["optimistic"] = True
    assert "the figures are optimistic" in words(read(render(maker.collect())))


def test_exact_operators_have_no_bar(maker: Maker) -> None:
    for layer in maker.stages["fixed"]["layers"]:
        layer["snr_db"] = 200.0
    page = render(maker.collect())
    assert page.count("<svg") == 2 and "Lowest:" not in page
    assert read(page).tables["Layers"][1][-1] == "exact"


def test_names_from_models_cannot_become_markup(maker: Maker) -> None:
    evil = "<script>alert('x')</script>\"&"
    maker.stages["evaluate"]["layers"][0]["name"] = evil
    maker.stages["fixed"]["layers"][0]["name"] = evil
    maker.stages["check"]["findings"][0]["message"] = evil
    maker.stages["import"]["inputs"][0]["name"] = evil
    maker.stages["import"]["source"]["producer"] = evil
    maker.fail("compile", evil, where=evil, why=evil, advice=evil)
    page = render(maker.collect(evil))
    assert "<script" not in page
    assert html.escape(evil, quote=False) in page.replace("&#39;", "'").replace("&#34;", '"')
    read(page)


def test_models_and_layers_in_number(maker: Maker) -> None:
    maker.stages = stages(300)
    reader = read(render(maker.collect()))
    assert len(reader.tables["Layers"]) == 301


def test_the_same_report_is_the_same_page(maker: Maker, tmp_path: Path) -> None:
    first = render(maker.collect())
    (tmp_path / "elsewhere").mkdir()
    second = render(Maker(tmp_path / "elsewhere").collect())
    assert first == second and "\r" not in first and first.endswith("</html>\n")
    assert str(tmp_path) not in first


def test_a_prediction_says_what_takes_long_and_what_would_help(maker: Maker) -> None:
    plain = words(read(render(maker.collect())))
    assert "What would help" not in plain and "not published" in plain
    evaluated = maker.stages["evaluate"]
    name = evaluated["layers"][0]["name"]
    traffic = {"read": 5, "write": 3, "weights": 2, "total": 10, "bandwidth_average": 2048.0}
    evaluated |= {
        "time_no_overlap_ms": 12.5,
        "bound": "dma",
        "tiling": "deep",
        "energy_mj": 7.25,
        "dram": {**traffic, "compulsory": 6, "ratio": 10 / 6},
        "slowest": [
            {"name": name, "time_ms": 2.5, "share": 0.25, "bound": "compute", "because": "it is large"}
        ],
        "help": [
            {
                "change": "twice the DRAM bandwidth",
                "time_ms": 3.5,
                "total_ms": 5.5,
                "saves_ms": 1.5,
                "counted": False,
            }
        ],
    }
    evaluated["layers"][0] |= {"stall_cycles": 1234, "tiles": 7}
    reader = read(render(maker.collect()))
    help_table = reader.tables["What would help"]
    assert help_table[1] == ["twice the DRAM bandwidth", "3.50", "5.50", "1.50"]
    (slow,) = reader.tables["The layers that take longest, and why"][1:]
    assert slow[1:] == ["2.50", "25.0 %", "it is large"]
    figures = [cell for row in reader.tables["One inference"] for cell in row]
    for told in ("12.5 ms", "feature maps to and from DRAM", "2.0 KiB/s", "6 B", "7.25 mJ", "deep"):
        assert told in figures
    assert reader.tables["Layers"][1][6:8] == ["1,234", "7"]


def test_what_does_not_fit_and_what_is_multiplied_besides(maker: Maker) -> None:
    evaluated = maker.stages["evaluate"]
    evaluated["layers"][0]["macs_added"] = 1_500_000
    evaluated["cpu_nodes"][0]["counted"] = "bytes moved"
    evaluated.update(
        fits=False,
        fits_because="net needs 9 bytes of DRAM; a model on kl720 may take 8: weights 9",
        macs_source=evaluated["macs"] - 1_500_000,
        cpu_rate={"operations_per_second": 1e8, "sure": "guess", "sources": {"cpu_hz": "a book"}},
    )
    page = render(maker.collect())
    for told in (
        "It does not fit the memory of the chip: net needs 9 bytes of DRAM",
        "1.50 M not the model&#39;s",
        "(the model's own: ",
        "at 100,000,000 operations a second (guess)",
        "<td>bytes moved</td>",
    ):
        assert told in page or html.escape(told) in page or html.unescape(told) in page, told
    found = maker.collect().to_json()["models"][0]["performance"]
    assert (
        found["cpu_rate"]["sources"] == {"cpu_hz": "a book"} and found["layers"][0]["macs_added"] == 1_500_000
    )


def test_what_is_of_a_run_says_so(maker: Maker) -> None:
    before = render(maker.collect())
    assert "of a run" not in before
    reason = "deep tiling is not taken: it takes 9 cycles"
    maker.stages["evaluate"].update(
        batch=64,
        pictures_per_inference=16,
        pictures_per_second=1600.0,
        mac_utilisation=0.695,
        tiling="deep",
        deep={"taken": False, "reason": reason, "saves_ms": 0.0},
        fits=False,
    )
    found = maker.collect().models[0].performance
    assert found is not None and found.deep is not None
    assert (found.batch, found.utilisation, found.fits, found.deep.taken) == (64, 0.695, False, False)
    page = render(maker.collect())
    for told in (
        "NPU cycles, of a run of 64 pictures",
        "DRAM traffic with weights, of a run of 64 pictures",
        "One inference, which is 16 pictures: 1,600 pictures a second",
        "69.5 %",
        "deep: not taken",
        "Deep tiling is not taken: it takes 9 cycles.",
        "It does not fit the memory of the chip.",
    ):
        assert told in page, told


def test_of_a_kmodel_nodes_are_counted_as_the_gate_does_and_functions_beside_them(maker: Maker) -> None:
    evaluated = maker.stages["evaluate"]
    evaluated["memory"] = {**evaluated.get("memory", {}), "kmodel": 11_088}
    evaluated["cpu_nodes"] = [{**evaluated["cpu_nodes"][0], "name": f"{name}/2"} for name in "abcd"]
    reader = read(render(maker.collect()))
    assert "CPUnodes14functionsoftheCPU" in "".join(words(reader).split())
    (caption,) = [caption for caption in reader.tables if caption.startswith("Functions of the CPU")]
    assert [row[0] for row in reader.tables[caption]] == ["Function", "a/2, b/2 … d/2 (4)"]
    assert {"Unit", "Tiles"}.isdisjoint(reader.tables["Layers"][0])
