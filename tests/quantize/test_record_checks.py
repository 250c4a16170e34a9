"""A record held against its model and chip: what does not fit is told with file and line."""

from __future__ import annotations

from dataclasses import replace

import pytest

from modelbuild.chips.load import load_recipe
from modelbuild.errors import ModelbuildError
from modelbuild.quantize import record as records
from modelbuild.quantize.apply import apply
from tests.quantize.cases import Made, make, normal, one_node

CHIP = "kl720"


@pytest.fixture(scope="module")
def made() -> Made:
    return make(one_node("Conv", (1, 3, 6, 6), w=normal(4, 3, 3, 3), b=normal(4)), CHIP)


@pytest.fixture(scope="module")
def text(made: Made) -> str:
    return records.to_text(made.record)


def refused(made: Made, text: str, chip: str = CHIP) -> tuple[str, str, int]:
    """Where, and all that is said; exit code."""
    with pytest.raises(ModelbuildError) as caught:
        apply(made.graph, {}, records.from_text(text, "my.txt"), load_recipe(chip))
    (problem,) = caught.value.problems
    return problem.where, str(problem), caught.value.exit_code


def number_of(text: str, start: str) -> int:
    return next(number for number, line in enumerate(text.split("\n"), 1) if line.startswith(start))


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("correct bias nothing 1 2", "which no weights make"),
        ("correct bias x 1 2 3", "which no weights make"),
        ("correct clip y 100", "1 numbers for 4 channels"),
        ("correct clip y 100 100 100 0", "0 is not from 1 to 128"),
        ("correct clip y 100 100 100 129", "129 is not from 1 to 128"),
        ("correct round y 4 1", "channel 4 is not one of 4"),
        ("correct round y 0 8000000", "channel 0 has 27 weights"),
        ("correct round nothing 0 1", "which no weights make"),
        ("correct equalize nothing 5", "no operator with constant weights"),
        ("correct equalize y 5", "there are 1 for 4 channels"),
        ("correct equalize y 5 5 5 0", "each must be from 1 to 4096"),
    ],
)
def test_corrections_that_the_model_has_no_place_for(made: Made, text: str, line: str, what: str) -> None:
    text = "".join(row for row in text.splitlines(keepends=True) if not row.startswith("correct round"))
    changed = f"{text}{line}\n"
    where, said, code = refused(made, changed)
    assert (where, code) == (f"my.txt:{number_of(changed, line)}", 2) and what in said


def test_a_bias_that_no_accumulator_holds(made: Made, text: str) -> None:
    bare = replace(made.record, corrections={})
    line = "correct bias y 0 0 0 2200000000"
    where, said, code = refused(made, f"{records.to_text(bare)}{line}\n")
    assert code == 2 and where.startswith("my.txt:") and "bias of channel 3 is beyond 1073741824" in said


@pytest.mark.parametrize(("name", "what"), [("y", "tensor 'y'"), ("w", "weights 'w'")])
def test_a_missing_line_is_named(made: Made, text: str, name: str, what: str) -> None:
    kept = [line for line in text.splitlines(keepends=True) if not line.endswith(f" {name}\n")]
    where, said, code = refused(made, "".join(kept))
    assert (where, code) == (f"my.txt:{len(kept)}", 2) and f"has no line for the {what}" in said


def test_a_line_of_no_tensor_is_refused(made: Made) -> None:
    line = made.record.by_name()["y"]
    extra = replace(made.record, tensors=(*made.record.tensors, replace(line, name="z")))
    where, said, code = refused(made, records.to_text(extra))
    assert code == 2 and "'z', which is not in the fixed-point model" in said and where == "my.txt:12"
    lines = [replace(each, kind="input") if each.name == "y" else each for each in made.record.tensors]
    kind = replace(made.record, tensors=tuple(lines))
    assert "input 'y', which is output" in refused(made, records.to_text(kind))[1]


@pytest.mark.parametrize(
    ("chip", "wrong", "right"),
    [("kl520", 0.03, 0.03125), ("kl520", 0.02, 0.015625), ("kl720", 0.03, 0.030000001144409223)],
)
def test_a_scale_that_the_chip_lacks_is_refused_with_the_nearest(
    chip: str, wrong: float, right: float
) -> None:
    made = make(one_node("Conv", (1, 3, 6, 6), w=normal(4, 3, 3, 3), b=normal(4)), chip)
    text, scale = records.to_text(made.record), made.record.by_name()["y"].scale
    where, said, code = refused(made, text.replace(f" {scale!r} ", f" {wrong!r} ", 1), chip)
    assert (
        code == 2 and where.startswith("my.txt:") and "cannot express" in said and f"write {right!r}" in said
    )
    record = records.from_text(text.replace(f" {scale!r} ", f" {right!r} ", 1))
    assert apply(made.graph, {}, record, load_recipe(chip)).tensors["y"].scale == right


def test_a_scale_far_from_its_neighbours_names_the_line(made: Made) -> None:
    free = make(made.graph, "modalix").record
    text = records.to_text(free)
    scale = free.by_name()["y"].scale
    where, said, code = refused(made, text.replace(f" {scale!r} ", " 1e-40 ", 1), "modalix")
    assert code == 2 and where.startswith("my.txt:") and "cannot work with the scale of 'y'" in said


def test_another_model_or_number_format(made: Made, text: str) -> None:
    other = text.replace(f"model: {made.graph.name}", "model: other", 1)
    assert refused(made, other)[:1] == ("my.txt:2",) and "for the model 'other'" in refused(made, other)[1]
    where, said, code = refused(made, text, "modalix")
    assert (where, code) == ("my.txt:4", 2) and "modalix needs" in said


def test_our_own_record_is_our_mistake(made: Made) -> None:
    bare = replace(made.record, tensors=made.record.tensors[:1])
    with pytest.raises(ModelbuildError, match="has no line for") as caught:
        apply(made.graph, {}, bare, load_recipe(CHIP))
    assert caught.value.exit_code == 1


def test_a_switch_of_the_header_is_used_and_marked(made: Made, text: str) -> None:
    record = records.from_text(text.replace("per_channel=yes", "per_channel=no"))
    assert record.edited == {"format"} and record.is_edited
    fixed = apply(made.graph, {}, record, load_recipe(CHIP))
    scales = {int(value) for value in fixed.constants["node/multiplier"]}
    assert len(scales) == 1 and len(set(made.fixed.constants["node/multiplier"].tolist())) > 1
