"""`compile:`: its canonical form, what a chip has a choice of, vendors' names, and what is not built yet."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from modelbuild.chips.load import load_recipe
from modelbuild.errors import ModelbuildError
from modelbuild.formats.nef_generations import chosen
from modelbuild.manifest import canonical_compile
from modelbuild.manifest.merge import Leaf
from modelbuild.manifest.settings import effective
from modelbuild.manifest.vendors import COMPILE_KNOBS, SECTIONS, CompileNames

DOCS = Path(__file__).resolve().parents[2] / "docs"
MANIFEST = """\
modelbuild: 1
samples: {faces: {files: faces/*.png}}
defaults: {calibration: faces}
models:
  net: {source: net.onnx}
targets:
  cam:
    chip: %s
    compile: %s
"""


def options(project: Any, chip: str, compile_: Any) -> Any:
    return effective(project.load(MANIFEST % (chip, json.dumps(compile_))), "net", "cam").values["compile"]


def refused(project: Any, chip: str, compile_: Any) -> str:
    ((_, what),) = project.errors(MANIFEST % (chip, json.dumps(compile_)))
    return str(what)


@pytest.mark.parametrize(
    ("chip", "written", "canonical"),
    [
        ("kl720", {}, {}),
        ("kl720", {"tiling": "default", "dedicated_output_buffer": True, "weight_compress": False}, {}),
        ("kl720", {"tiling": "deep"}, {"tiling": "deep"}),
        ("kl520", {"dedicated_output_buffer": False}, {"dedicated_output_buffer": False}),
        ("modalix", {"batch": 4}, {"weight_compress": True, "batch": 4}),
        ("modalix", {"weight_compress": True}, {"weight_compress": True}),
        ("mlsoc", {"weight_compress": False}, {}),
        ("kl720", {"weight_compress": True}, {"weight_compress": True}),
        ("kl720", {"sram_bytes": 65536}, {"sram_bytes": 65536}),
        ("kl720", {"sram_bytes": 1 << 19}, {}),
        ("kl720", {"flatbuffer": True}, {}),
        ("kl720", {"flatbuffer": False}, {"flatbuffer": False}),
        ("kl520", {"flatbuffer": False}, {}),
        ("kl630", {"flatbuffer": True}, {}),
    ],
)
def test_what_is_as_it_would_be_says_nothing(project: Any, chip: str, written: Any, canonical: Any) -> None:
    assert options(project, chip, written) == canonical


@pytest.mark.parametrize(
    ("chip", "written", "setup"),
    [("kl520", "true", "legacy520"), ("kl530", "false", "flatbuffer"), ("kl730", "true", "kne")],
)
def test_the_form_of_a_setup_is_no_choice_elsewhere(
    project: Any, chip: str, written: str, setup: str
) -> None:
    with pytest.raises(ModelbuildError) as caught:
        options(project, chip, {"flatbuffer": written == "true"})
    (problem,) = caught.value.problems
    assert problem.what == f"`flatbuffer: {written}` is not possible on {chip}"
    assert problem.why == f"its packages are nef, whose setup has one form there: {setup}"


def test_no_more_memory_than_the_chip_has(project: Any) -> None:
    text = MANIFEST % ("kl520", json.dumps({"sram_bytes": (512 << 10) + 1}))
    ((where, what),) = project.errors(text)
    assert what == "`sram_bytes: 524289` is more than kl520 has"
    assert re.fullmatch(r"models.yaml:9:\d+", str(where))


@pytest.mark.parametrize(("flatbuffer", "setup"), [(None, "flatbuffer"), (False, "legacy720")])
def test_the_setup_that_a_package_gets(flatbuffer: bool | None, setup: str) -> None:
    container = load_recipe("kl720").container
    assert chosen(container.platform, container.setup, flatbuffer) == setup


def test_a_recipe_may_have_the_older_form_by_default() -> None:
    recipe = load_recipe("kl720")
    older = recipe.model_copy(
        update={"container": recipe.container.model_copy(update={"setup": "legacy720"})}
    )
    found = canonical_compile.canonical_compile({"flatbuffer": Leaf(True, "x:1:1")}, older, [])
    assert isinstance(leaf := found["flatbuffer"], Leaf)
    assert chosen("720", older.container.setup, leaf.value) == "flatbuffer"
    assert canonical_compile.unsaid({}, older)["flatbuffer"] is False


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ({"compiler_tiling": "deep_search"}, {"tiling": "deep"}),
        ({"compiler_tiling": "partial_graph_search"}, {"tiling": "deep"}),
        ({"compiler_tiling": "default"}, {}),
        ({"hardware_cut_opt": True}, {"tiling": "deep"}),
        ({"hardware_cut_opt": False}, {}),
        ({"fm_cut": True}, {"tiling": "deep"}),
        ({"fm_cut": "deep_search"}, {"tiling": "deep"}),
        ({"fm_cut": "default", "tiling": "default"}, {}),
        ({"compress": True}, {"weight_compress": True}),
        ({"batch_size": 16}, {"batch": 16}),
        ({"fm_cut": True, "hardware_cut_opt": True, "compiler_tiling": "deep_search"}, {"tiling": "deep"}),
    ],
)
def test_vendors_names_are_our_keys(project: Any, theirs: Any, ours: Any) -> None:
    assert options(project, "kl720", theirs) == ours


def test_vendors_names_under_quantize_reach_the_compiler(project: Any) -> None:
    written = (MANIFEST % ("kl720", "{}")).replace("compile: {}", "quantize: {optimize: 4}")
    found = effective(project.load(written), "net", "cam").values
    assert found["compile"] == {"tiling": "deep"}
    assert found["quantize"]["bias_correction"] == "sequential"


def test_names_that_contradict_each_other(project: Any) -> None:
    what = refused(project, "kl720", {"fm_cut": True, "tiling": "default"})
    assert what == "`fm_cut: true` contradicts `tiling: default`"
    assert "fm_cut" in refused(project, "kl720", {"fm_cut": "fast"})


def test_a_note_says_what_a_name_is_here(project: Any) -> None:
    manifest = project.load(MANIFEST % ("kl520", '{"fm_cut": "deep_search", "batch_size": 2}'))
    notes = [
        (one.code, one.severity, one.message, one.line) for one in manifest.warnings if one.code == "MB011"
    ]
    assert notes == [
        ("MB011", "note", "`fm_cut: deep_search` is `tiling: deep` here", 9),
        ("MB011", "note", "`batch_size: 2` is `batch: 2` here", 9),
    ]
    advice = {one.message: one.advice for one in manifest.warnings}
    assert "default alone on a KL520" in advice["`fm_cut: deep_search` is `tiling: deep` here"]
    assert not project.load(MANIFEST % ("kl520", '{"tiling": "deep", "batch": 2}')).warnings[1:]


def test_what_a_vendor_does_with_weights_is_below_all_that_is_written(project: Any) -> None:
    written = MANIFEST % ("modalix", "{}")
    found = effective(project.load(written), "net", "cam")
    assert found.values["compile"] == {"weight_compress": True}
    assert found.origin(("compile", "weight_compress")) == "recipe modalix"
    written = written.replace(
        "{calibration: faces}", "{calibration: faces, compile: {weight_compress: false}}"
    )
    assert effective(project.load(written), "net", "cam").values["compile"] == {}


def test_a_recipes_default_is_below_what_is_written(project: Any) -> None:
    project.write(
        "own.yaml", "extends: kl720\nrecipe: 1\nchip: own\ndefaults: {compile: {weight_compress: true}}\n"
    )
    assert options(project, "./own.yaml", {}) == {"weight_compress": True}
    assert options(project, "./own.yaml", {"weight_compress": False}) == {}
    assert options(project, "./own.yaml", {"compress": False}) == {}


def test_what_is_not_written_is_told() -> None:
    kl720, kl520 = load_recipe("kl720"), load_recipe("kl520")
    assert canonical_compile.unsaid({}, kl720) == {
        "dedicated_output_buffer": True,
        "flatbuffer": True,
        "sram_bytes": int(kl720.hardware.sram_bytes.value),
        "tiling": "default",
        "weight_compress": False,
    }
    assert set(canonical_compile.unsaid({"tiling": "deep"}, kl520)) == {
        "dedicated_output_buffer",
        "sram_bytes",
        "weight_compress",
    }


def test_the_page_and_the_code_have_the_same_names() -> None:
    page = (DOCS / "knobs.md").read_text(encoding="utf-8").partition("## Names for compiling")[2]
    sections = dict(re.findall(r"^### (\w+)'s\n(.*?)(?=^### |\Z)", page, re.MULTILINE | re.DOTALL))
    found = {
        vendor: [
            tuple(part.strip() for part in line.strip("|").split("|")[:4])
            for line in section.splitlines()
            if line.startswith("| `")
        ]
        for vendor, section in sections.items()
    }

    def cell(value: Any) -> str:
        return f"`{value}`" if isinstance(value, str) else f"`{json.dumps(value)}`"

    assert found == {
        vendor: [
            (
                f"`{knob.name}`",
                cell(knob.default),
                f"`{knob.ours}`" if knob.ours else "",
                "all" if knob.missing else "",
            )
            for knob in knobs
        ]
        for vendor, knobs in COMPILE_KNOBS.items()
    }
    assert SECTIONS["compile"].keys() == CompileNames.model_fields.keys()


@pytest.mark.parametrize(
    ("key", "advice"),
    [
        ("quant_type", "write it under `quantize:`"),
        ("target", "remove it: a target says `chip:`"),
        ("is_fpga", "remove it: programs are for the chip itself"),
        ("dump_asm", "remove it: `modelbuild build --dump DIR`"),
    ],
)
def test_names_of_nncase_that_are_none_of_compiling_are_told_where_they_belong(
    project: Any, key: str, advice: str
) -> None:
    with pytest.raises(ModelbuildError) as caught:
        project.load(MANIFEST % ("k210", json.dumps({key: True})))
    assert caught.value.problems[0].advice.startswith(advice)
