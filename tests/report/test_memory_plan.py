"""The picture of a kmodel's memory plan."""

from __future__ import annotations

from xml.etree import ElementTree

from modelbuild.report.html import svg_of_plan
from modelbuild.report.memory_plan import LANE, LEFT, RIGHT, WIDTH, MemoryPlan, picture, plan_of
from tests.report import plan_picture

PLACED = [
    {"pool": "input", "tensors": ["x"], "offset": 0, "size": 100, "first": 0, "last": 0, "function": None},
    {"pool": "data", "tensors": ["a"], "offset": 0, "size": 300, "first": 0, "last": 1, "function": None},
    {"pool": "kpu", "tensors": ["a"], "offset": 64, "size": 64, "first": 1, "last": 3, "function": 0},
]
STEPS = [
    {"name": name, "operator": "<n>", "module": 0, "function": 0}
    for name in ("quantize", "kpu_upload", "kpu_conv2d", "dequantize")
]


def _plan() -> MemoryPlan:
    found = plan_of({"placements": PLACED, "executed": STEPS})
    assert found is not None
    return found


def test_blocks_lie_over_their_operations_and_addresses() -> None:
    drawn = picture(_plan())
    assert drawn is not None
    ram, main = drawn.lanes
    slot = (WIDTH - LEFT - RIGHT) / 4
    (block,) = ram.blocks
    assert (block.x, block.width) == (LEFT + slot, 3 * slot)
    assert (block.y, block.height) == (ram.top, LANE / 2)  # from 64 to 128 of 128 bytes
    assert ram.most == "128 B"
    by_kind = {block.kind: block for block in main.blocks}
    assert by_kind["data"].y + by_kind["data"].height == main.bottom
    assert by_kind["input"].y == main.top  # above the working memory
    assert [step.kind for step in drawn.steps] == ["cpu", "dma", "compute", "cpu"]


def test_a_long_name_is_cut_and_shown_whole_when_pointed_at() -> None:
    named = [{**PLACED[2], "tensors": ["n" * 200]}]
    found = plan_of({"placements": named, "executed": STEPS})
    drawn = picture(found)
    assert drawn is not None
    (block,) = drawn.lanes[0].blocks
    assert block.label.endswith("…") and "n" * 200 in block.title


def test_other_programs_have_none() -> None:
    assert plan_of({"groups": []}) is None
    assert picture(None) is None
    assert picture(MemoryPlan(placements=(), executed=())) is None


def test_a_file_of_its_own_is_one_document_without_scripts() -> None:
    text = svg_of_plan(_plan(), "a <title>")
    root = ElementTree.fromstring(text)
    assert root.tag.endswith("svg") and "script" not in text
    assert "prefers-color-scheme: dark" in text
    assert text == svg_of_plan(_plan(), "a <title>")


def test_the_picture_of_the_docs_is_drawn_by_the_same_code() -> None:
    assert plan_picture.PICTURE.read_text(encoding="utf-8") == plan_picture.drawn()
