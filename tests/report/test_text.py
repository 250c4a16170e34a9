"""Numbers for people."""

from __future__ import annotations

import pytest

from modelbuild.report import text


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "–"),
        (0.0, "0"),
        (1234.5, "1,234"),
        (12.345, "12.3"),
        (9.999, "10.0"),
        (0.0412, "0.0412"),
        (-3.14159, "-3.14"),
        (2.1e-7, "2.10e-07"),
        (1e9, "1,000,000,000"),
    ],
)
def test_number(value: float | None, expected: str) -> None:
    assert text.number(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "–"),
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1_048_575, "1.0 MiB"),
        (5 << 30, "5.0 GiB"),
    ],
)
def test_size(value: int | None, expected: str) -> None:
    assert text.size(value) == expected


def test_other_forms() -> None:
    assert [text.large(value) for value in (None, 0, 999, 1_234_567, 2_500_000_000)] == [
        "–",
        "0",
        "999",
        "1.23 M",
        "2.50 G",
    ]
    assert text.integer(1_234_567) == "1,234,567"
    assert text.percent(0.1234) == "12.3 %" and text.percent(None) == "–"
    assert [text.decibel(value) for value in (None, 34.82, -1.0, 200.0)] == ["–", "34.8", "-1.0", "exact"]
    assert [text.bound(value) for value in (None, True, False, 25, 0.0025, 1e-9)] == [
        "not available",
        "yes",
        "no",
        "25",
        "0.0025",
        "1.000e-09",
    ]
    assert [text.setting(value) for value in (114.0, 0.5, [1.0, 2.5], "crop")] == [
        "114",
        "0.5",
        "1, 2.5",
        "crop",
    ]


def test_long_names_lose_their_middle() -> None:
    name = "model/conv2d_1/Relu;model/conv2d_1/BiasAdd;model/conv2d_1/Conv2D"
    assert text.short(name) == "model/conv2d_1/Relu;mode…odel/conv2d_1/Conv2D"[:25] + name[-23:]
    assert text.short_names(f"Conv `{name}`: kernel") == f"Conv `{text.short(name)}`: kernel"
    assert len(text.short(name)) == text.LONGEST and text.short("x" * 48) == "x" * 48
