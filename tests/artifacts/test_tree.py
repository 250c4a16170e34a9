"""The object of `inspect` as text."""

from __future__ import annotations

from modelbuild.artifacts.tree import render, verdict


def test_control_characters_do_not_reach_the_terminal() -> None:
    text = render(
        {"format": "nef", "models": [{"id": 1, "name": "evil\x1b[2J\nname", "inputs": [{"name": "\x07"}]}]}
    )
    assert "\x1b" not in text and "\x07" not in text
    assert "evil\\x1b[2J\\x0aname" in text


def test_the_tree_leaves_out_what_is_not_there() -> None:
    assert render({"format": "elf", "version": None, "models": [], "silicon": False, "size": 3}) == (
        "format: elf\nsilicon: no\nsize: 3\n"
    )


def test_a_file_without_checksums_says_so() -> None:
    assert render({"format": "kmodel", "checksums": []}) == "format: kmodel\nchecksums: none\n"


def test_what_is_not_ok_is_one_line() -> None:
    def items(*oks: bool) -> list[dict[str, object]]:
        return [{"what": f"w{place}\x1b", "ok": ok} for place, ok in enumerate(oks)]

    assert verdict({"checksums": items(True), "checks": items(True, True)}) == ""
    found = {"checksums": items(True, False), "checks": items(False, False, False, False)}
    assert verdict(found) == (
        "not ok: 1 of 2 checksums (w1\\x1b), 4 of 4 checks (w0\\x1b; w1\\x1b; w2\\x1b and 1 more)\n"
    )


def test_long_texts_are_cut() -> None:
    line = render({"metadata": {"k": "x" * 1500, "short": "y" * 160}}).splitlines()[1]
    assert line == f"  k: {'x' * 160}… 1500 characters (-v shows all)"
    assert "x" * 1500 in render({"metadata": {"k": "x" * 1500}}, whole=True)


def test_numbers_that_are_places_are_hexadecimal_whatever_they_are_called() -> None:
    found = {
        "uuid": 16,
        "entry": 2,
        "words": {"magic": 255, "working address": 4096, "version": 10, "nested": {"x": 1}},
        "listed_version": "45197",
    }
    assert render(found).splitlines() == [
        "uuid: 0x00000010",
        "entry: 0x00000002",
        "words:",
        "  magic: 0x000000ff",
        "  working address: 0x00001000",
        "  version: 10",
        "  nested: x 1",
        "listed version: 45197, which is b08d",
    ]
    assert render({"signature": [None, 32, 3], "layer_list": [{"input": [3, 240, 320]}]}) == (
        "signature: ?x32x3\nlayer list:\n  input\n  3x240x320\n"
    )


def test_lists_of_objects_are_tables_with_digests_last() -> None:
    members = [
        {"name": "a.txt", "size": 5, "sha256": "00ff", "kind": None, "time": 0},
        {"name": "b", "size": 1234, "sha256": None, "kind": "link", "time": 0},
    ]
    assert render({"members": members}) == (
        "members:\n"
        "  name   size  kind  time  sha256\n"
        "  a.txt     5           0  00ff\n"
        "  b      1234  link     0\n"
    )


def test_places_are_hexadecimal_and_shapes_are_shapes() -> None:
    inputs = [
        {"name": "x", "shape": [1, None, "h"], "address": 255},
        {"name": "s", "shape": [], "address": 0},
        {"name": "u", "shape": None, "address": 1},
    ]
    assert render({"inputs": inputs}) == (
        "inputs:\n  name  shape            address\n  x     1x?xh         0x000000ff\n"
        "  s     scalar        0x00000000\n  u     unknown rank  0x00000001\n"
    )


def test_objects_in_objects_stand_under_their_names_or_places() -> None:
    models = [{"id": 7, "name": "n", "version": None, "inputs": [{"name": "x"}]}, {"inputs": [{"name": "y"}]}]
    assert render({"models": models}).splitlines()[1:] == [
        "  id 7, name n",
        "    inputs:",
        "      name",
        "      x",
        "  [1]",
        "    inputs:",
        "      name",
        "      y",
    ]


def test_names_of_operators_are_as_the_file_has_them() -> None:
    found = {"unread_bytes": 0, "operators": {"MAX_POOL_2D": 2, "my_op\x1b": 1}}
    assert render(found) == "unread bytes: 0\noperators: MAX_POOL_2D 2, my_op\\x1b 1\n"
    many = {"operators": {f"OPERATOR_{number}": number for number in range(30)}}
    assert "\n  OPERATOR_29: 29\n" in render(many)


def parts(count: int, *unknown: int) -> list[dict[str, object]]:
    return [
        {"offset": 16 * place, "size": 16, "what": f"part {place}", "known": place not in unknown}
        for place in range(count)
    ]


def test_long_lists_are_cut_but_show_what_is_unknown_or_wrong() -> None:
    lines = render({"parts": parts(100, 97, 50)}).splitlines()
    assert lines[0] == "parts: 100, 2 unknown" and lines[-1] == "  … 77 more (-v shows all)"
    assert len(lines) == 26
    assert [line.split()[3] for line in lines[-3:-1]] == ["50", "97"]
    whole = render({"parts": parts(100, 97)}, whole=True).splitlines()
    assert len(whole) == 102 and whole[0] == "parts: 100, 1 unknown"
    assert render({"parts": parts(24)}).splitlines()[0] == "parts:"
    checks = [{"what": "rule", "ok": True, "why": None}] * 30 + [{"what": "bad", "ok": False, "why": "so"}]
    lines = render({"checks": checks}).splitlines()
    assert lines[0] == "checks: 31, 1 not ok" and lines[-2].split() == ["bad", "no", "so"]


def test_nodes_that_were_asked_for_are_shown_whole() -> None:
    nodes = [{"name": f"n{place}", "op": "Relu"} for place in range(90)]
    assert (
        len(render({"models": [{"name": "m", "inputs": [{"name": "x"}], "node_list": nodes}]}).splitlines())
        > 90
    )


def test_long_lists_of_texts_take_a_line_each() -> None:
    notes = ["a note that is rather long, so that two of them do not stand on one line"] * 2
    assert render({"notes": notes}) == f"notes:\n  {notes[0]}\n  {notes[1]}\n"
    assert render({"shape": [1, 2], "reads": ["a", "b"]}) == "shape: 1x2\nreads: a, b\n"
