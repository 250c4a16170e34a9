"""Text for terminals."""

from __future__ import annotations

from modelbuild.artifacts.columns import columns, printable, shortened


def test_what_steers_a_terminal_is_shown_instead() -> None:
    assert printable("a\x1b[2J\nb\x9b") == "a\\x1b[2J\\x0ab\\x9b"
    assert printable("\udcff\udcfe.nef") == "\\xff\\xfe.nef"
    assert printable("evil\u202egpj.exe \u200b\u2028") == "evil\\u202egpj.exe \\u200b\\u2028"
    assert printable("naïve 模型 é\U000e0001") == "naïve 模型 é\\U000e0001"


def test_columns_line_up_and_numbers_stand_right() -> None:
    assert columns([("name", "bytes"), ("a", "5"), ("模型x", "1234")]) == [
        "name   bytes",
        "a          5",
        "模型x   1234",
    ]
    assert columns([("0x10", "text"), ("0x2", "3 of 4")]) == ["0x10  text", " 0x2  3 of 4"]
    assert columns([]) == []


def test_a_long_cell_moves_no_other_line() -> None:
    rows = [("a", "1"), ("b" * 60, "2"), ("ccc", "3")]
    assert columns(rows) == ["a    1", f"{'b' * 60}  2", "ccc  3"]


def test_an_empty_column_takes_no_room() -> None:
    assert columns([("a", "", "b"), ("c", "", "d")]) == ["a  b", "c  d"]


def test_long_lists_are_cut_with_a_count() -> None:
    lines = [str(number) for number in range(10)]
    assert shortened(lines, 4, "  ") == ["0", "1", "2", "  … 7 more (-v shows all)"]
    assert shortened(lines, 10) == lines and shortened(lines, None) == lines
