"""What a chip's memories hold: the limit that counts, what is said to be needed, and what would fit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelbuild.chips.load import load_recipe
from modelbuild.errors import ModelbuildError
from modelbuild.npu.limits import (
    OverMemory,
    Sizes,
    Ways,
    check_memory,
    check_package,
    other_chips,
    room,
)
from modelbuild.npu.program.header import MAX_DRAM, MAX_SECTION

MIB = 1 << 20
LIMIT = 36_700_160  # of kl520
KL520 = load_recipe("kl520")


def sizes(working: int = 0, weights: int = 0, output: int = 0) -> Sizes:
    return Sizes(0, output, working, 0, weights, 0)


def told(found: Sizes, **more: object) -> OverMemory:
    with pytest.raises(OverMemory) as caught:
        check_memory("net", found, KL520, **more)  # type: ignore[arg-type]
    return caught.value


@pytest.mark.parametrize(
    ("chip", "bytes_", "of"),
    [
        ("kl520", LIMIT, "a model on kl520 may take"),
        ("kl720", 78_643_200, "a model on kl720 may take"),
        ("k210", 6_291_456, "k210 has"),
        ("kl730", 367_001_600, "a model on kl730 may take"),
        ("modalix", 1 << 34, "modalix has"),
    ],
)
def test_the_smallest_limit_counts(chip: str, bytes_: int, of: str) -> None:
    assert room(load_recipe(chip)).bytes == bytes_
    assert room(load_recipe(chip)).of == of


def test_a_model_may_fill_its_memory_and_not_exceed_it() -> None:
    check_memory("net", sizes(working=LIMIT), KL520)
    error = told(sizes(working=LIMIT + 1))
    assert (error.sizes.total, error.available, error.exit_code) == (LIMIT + 1, LIMIT, 1)


def test_what_no_program_holds_is_not_the_chips_limit() -> None:
    modalix = load_recipe("modalix")
    check_memory("net", sizes(working=MAX_DRAM, weights=MAX_SECTION), modalix)
    with pytest.raises(OverMemory) as caught:
        check_memory("net", sizes(working=MAX_DRAM + 4), modalix, shapes=[(1, 3, 1024, 1024)])
    (problem,) = caught.value.problems
    assert problem.what == (
        "the feature maps of net take 1,073,741,828 bytes; a program, whatever the chip has, holds "
        "1,073,741,824"
    )
    assert problem.advice == "a picture of about 992 x 992 in place of 1024 x 1024"
    assert caught.value.available == MAX_DRAM
    assert caught.value.with_chips({"mlsoc": 1 << 34}) is caught.value
    with pytest.raises(OverMemory, match="the weights of net take"):
        check_memory("net", sizes(weights=MAX_SECTION + 1), modalix)
    assert room(modalix).maps(sizes(weights=16)) == MAX_DRAM
    assert room(KL520).maps(sizes(working=5, weights=16)) == LIMIT - 16


def test_every_region_is_told_the_largest_first() -> None:
    (problem,) = told(Sizes(3, 20 * MIB, 20 * MIB + 1, 100, 1000, 0)).problems
    assert problem.what == "net needs 41,944,164 bytes of DRAM; a model on kl520 may take 36,700,160"
    assert (
        problem.why == "working memory 20,971,521, outputs 20,971,520, weights 1,000, command 100, inputs 3"
    )


def test_the_parts_of_a_program_are_aligned() -> None:
    assert Sizes(1, 1, 1, 1, 17, 0).total == 3 + 16 + 32


def test_settings_are_told_that_save_enough() -> None:
    over = sizes(working=30 * MIB, weights=10 * MIB)  # 5 MiB too much
    assert "saves 5,242,880" in told(over, ways=lambda: Ways(shared_output=5 * MIB)).problems[0].advice
    advice = told(over, ways=lambda: Ways(2 * MIB, 3 * MIB, 1 * MIB)).problems[0].advice
    assert advice.startswith(
        "`compile: {dedicated_output_buffer: false}` and `compile: {weight_compress: true}` (saves 5,242,880)"
    )
    assert "int4" not in advice
    assert "`compile" not in told(over, ways=lambda: Ways(1 * MIB, 1 * MIB)).problems[0].advice


def test_a_smaller_picture_is_told() -> None:
    over = sizes(working=4 * 26 * MIB, weights=9 * MIB)
    advice = told(over, shapes=[(1, 3, 640, 640)]).problems[0].advice
    assert advice == "a picture of about 320 x 320 in place of 640 x 640"
    assert told(over).problems[0].advice == "inputs of about 50 % of the height and width"
    assert "smaller model" in told(sizes(working=MIB, weights=LIMIT)).problems[0].advice


@given(st.integers(1, 1 << 30), st.integers(0, 1 << 26))
def test_the_picture_that_is_told_fits(working: int, weights: int) -> None:
    found = sizes(working, weights)
    if found.total <= LIMIT:
        return
    advice = told(found, shapes=[(1, 3, 960, 960)]).problems[0].advice
    if advice.startswith("a picture"):
        extent = int(advice.split()[4])
        assert working * extent * extent / 960**2 + found.fixed <= LIMIT
        assert working * (extent + 32) ** 2 / 960**2 + found.fixed > LIMIT


def test_chips_with_room_are_told() -> None:
    error = told(sizes(weights=40 * MIB))
    rooms = {"kl630": 60 * MIB, "kl530": 40 * MIB, "small": 40 * MIB - 1}
    advice = "take a smaller model; or another chip: kl530, kl630"
    assert error.with_chips(rooms).problems[0].advice == advice
    assert error.with_chips({"small": MIB}) is error


def test_other_chips_of_the_vendor() -> None:
    rooms = other_chips(KL520)
    assert set(rooms) == {"kl530", "kl630", "kl720", "kl730"}
    assert rooms["kl720"] == room(load_recipe("kl720")).bytes
    assert set(other_chips(load_recipe("modalix"))) == {"mlsoc"}


def package_told(size: int, models: dict[str, int]) -> str:
    with pytest.raises(ModelbuildError) as caught:
        check_package("doorbell", size, models, "kl520", KL520.container)
    assert caught.value.exit_code == 1
    return caught.value.problems[0].advice


def test_a_package_is_held_against_the_flash() -> None:
    limit = 32 * MIB
    check_package("doorbell", limit, {"net": limit}, "kl520", KL520.container)
    assert "weight_compress" in package_told(limit + 1, {"net": limit})
    assert package_told(limit + 9, {"a": 30 * MIB, "b": 8}) == "leave out a: a package of its own holds it"
    assert package_told(limit + MIB, {"a": 20 * MIB, "b": 13 * MIB}).startswith("leave out a or b")
    three = {"a": 30 * MIB, "b": 20 * MIB, "c": 20 * MIB}
    assert package_told(70 * MIB, three) == "leave out a, b, or split the package"
    check_package("gate", 1 << 40, {}, "modalix", load_recipe("modalix").container)
