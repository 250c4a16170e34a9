"""What nncase's CompileOptions call the keys of preprocessing in the model that have other names here."""

from __future__ import annotations

from typing import Any

from modelbuild.errors import Problem

SWAP, BORDER = "swapRB", "letterbox_value"
KEYS = (SWAP, BORDER)
_OTHER = {"rgb": "bgr", "bgr": "rgb"}
_OURS = {SWAP: "colour", BORDER: "fill"}


def translate(chosen: dict[str, Any], problems: list[Problem]) -> None:
    """Takes nncase's names out of `chosen` and puts our keys in their place; a name without `in_model`, and
    one that contradicts a key of ours, is a problem."""
    given = {key: chosen.pop(key) for key in KEYS if key in chosen}
    for key, value in given.items():
        if value is None:
            continue
        if chosen.get("in_model") is not True:
            problems.append(_problem(
                key, value, "goes with `in_model: true`", "it is a setting of the model's own preprocessing",
                f"add `in_model: true`, or write `{_OURS[key]}` for what the host does",
            ))  # fmt: skip
        elif key == SWAP:
            _swap(value, chosen, problems)
        else:
            _border(value, chosen, problems)


def _swap(value: Any, chosen: dict[str, Any], problems: list[Problem]) -> None:
    """Whether red and blue of the raw picture change places: its order of colours, or the model's, follows
    from the other one."""
    if not isinstance(value, bool):
        problems.append(_problem(SWAP, value, "is not true or false"))
        return
    raw, inner = chosen.get("input_colour"), chosen.get("colour")
    if inner == "gray":
        if value:
            problems.append(
                _problem(SWAP, value, "contradicts `colour: gray`", "gray has no red and blue", "remove one")
            )
        return
    if inner in _OTHER and raw is None:
        chosen["input_colour"] = _OTHER[inner] if value else inner
    elif inner is None:
        raw = raw or "rgb"
        if value or raw != "rgb":
            chosen["colour"] = _OTHER.get(raw, raw) if value else raw
    elif raw in _OTHER and inner in _OTHER and (raw != inner) is not value:
        why = f"the raw picture is {raw} and the model's input {inner}"
        problems.append(_problem(SWAP, value, "contradicts the colours", why, f"remove `{SWAP}`"))


def _border(value: Any, chosen: dict[str, Any], problems: list[Problem]) -> None:
    """The border's value in units of `input_range`; ours is a pixel's."""
    ends = chosen.get("input_range")
    pair = list(ends) if isinstance(ends, list | tuple) else []
    numbers = all(isinstance(item, int | float) and not isinstance(item, bool) for item in [value, *pair])
    if len(pair) != 2 or not numbers or not pair[0] < pair[1]:
        problems.append(_problem(
            BORDER, value, "needs `input_range`" if numbers else "is not a number",
            "it is a number of that range", "add `input_range: [0, 255]`, or write `fill`, a pixel's value",
        ))  # fmt: skip
        return
    pixel = round((value - pair[0]) / (pair[1] - pair[0]) * 255)
    if not 0 <= pixel <= 255:
        why = f"it would be the pixel value {pixel}, and there are 0 to 255"
        problems.append(_problem(BORDER, value, f"lies outside of `input_range: {pair}`", why))
    elif chosen.get("fill") not in (None, pixel):
        why = f"one is the pixel value {pixel}, the other {chosen['fill']}"
        problems.append(_problem(BORDER, value, "contradicts `fill`", why, "keep one of the two"))
    elif chosen.get("resize") not in (None, "letterbox"):
        why = "only a letterbox has a border"
        problems.append(
            _problem(BORDER, value, f"contradicts `resize: {chosen['resize']}`", why, "remove it")
        )
    else:
        chosen |= {"fill": pixel, "resize": "letterbox"}


def _problem(key: str, value: Any, what: str, why: str = "", advice: str = "") -> Problem:
    shown = str(value).lower() if isinstance(value, bool) else value
    return Problem(f"`{key}: {shown}` {what}", f"preprocess.{key}", why, advice)
