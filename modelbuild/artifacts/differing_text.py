"""The object of `diff` as text: what differs, the most telling first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from modelbuild.artifacts.columns import columns, printable, shortened
from modelbuild.artifacts.wording import worded

_VALUE = 60  # characters of a value, beyond which it is cut
_NAME = 48
_LINES = 40  # of a list, beyond which it is cut unless all is asked for
_REPEATED = "address"
_MATCH = {True: "the same bytes", False: "different"}


def render(found: Mapping[str, Any], whole: bool = False) -> str:
    """Lines that no file name and no content can steer a terminal with; ends in a newline. Long lists are
    cut unless `whole`."""
    return "".join(f"{line}\n" for line in _lines(found, _LINES if not whole else None))


def _lines(found: Mapping[str, Any], most: int | None) -> Iterator[str]:
    a, b = (printable(found[side]["file"]) for side in "ab")
    yield f"{a} and {b}: {found['kind']}, {_MATCH[found['equal']]}"
    if found["equal"]:
        return
    sections = (
        ("sizes, bytes", _numbers(found["sizes"])),
        ("timing", _numbers(found["timing"])),
        ("metadata", _values(found["metadata"])),
    )
    for title, rows in sections:
        yield from _section(title, rows, most)
    for model in found["models"]:
        yield from _model(model, most)
    yield from _weights(found["weights"], most)
    rows = [(part["what"], *_blob(part["a"]), *_blob(part["b"])) for part in found["parts"]]
    yield from _section(
        f"parts with other bytes: {len(rows)}",
        [("", "offset a", "bytes a", "offset b", "bytes b"), *rows] if rows else [],
        most,
    )
    told = (found["metadata"], found["timing"], *(model["differences"] for model in found["models"]))
    if (
        not any(told)
        and not _changed(found["weights"])
        and all(m["change"] == "same" for m in found["models"])
    ):
        yield "nothing differs in what modelbuild reads of them, but their bytes do"


def _section(
    title: str, rows: Sequence[Sequence[str]], most: int | None, indent: str = "  "
) -> Iterator[str]:
    if not rows:
        return
    yield f"{indent[2:]}{title}:"
    yield from shortened([f"{indent}{line}" for line in columns(rows)], most, indent)


def _numbers(items: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """Those that differ, with how much the second is of the first."""
    return [
        (item["what"], _text(item["a"]), _text(item["b"]), _ratio(item["a"], item["b"]))
        for item in items
        if item["a"] != item["b"]
    ]


def _ratio(a: float | None, b: float | None) -> str:
    return f"{(b / a - 1) * 100:+.1f} %" if a and b else ""


def _values(items: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """Without those that say again what another one of the same key says, as an address in two tables."""
    told = dict[tuple[str, str, str], str]()
    for item in items:
        leaf, key = _leaf(item["key"]), item["key"]
        a, b = _text(item["a"], leaf), _text(item["b"], leaf)
        told.setdefault((leaf if leaf == _REPEATED else key, a, b), key)
    return [(key, a, b) for (_, a, b), key in told.items()]


def _leaf(key: str) -> str:
    """The last key of `memory.input.address`."""
    return key.rpartition(".")[2]


def _model(model: Mapping[str, Any], most: int | None) -> Iterator[str]:
    named = " ".join(printable(str(model[key])) for key in ("id", "name") if model[key] not in (None, ""))
    head = f"model {named}".rstrip()
    yield f"{head}: {model['change']}"
    if model["change"] in ("added", "removed", "same"):
        return
    yield from shortened([f"  {line}" for line in columns(_values(model["differences"]))], most, "  ")
    layers = model["layers"]
    if not (layers["added"] or layers["removed"] or layers["changed"]):
        return
    counts = ", ".join(f"{len(layers[word])} {word}" for word in ("added", "removed", "changed"))
    yield f"  layers: {layers['same']} the same, {counts}"
    rows = [
        (sign, printable(item["name"]), str(item["op"] or ""))
        for word, sign in (("removed", "-"), ("added", "+"))
        for item in layers[word]
    ]
    yield from shortened([f"    {line}" for line in columns(rows)], most, "    ")
    changed = [
        (_short(layer["name"]), item["key"], *(_text(item[side], _leaf(item["key"])) for side in "ab"))
        for layer in layers["changed"]
        for item in layer["differences"]
    ]
    yield from shortened([f"    {line}" for line in columns(changed)], most, "    ")


def _changed(weights: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Those that differ, the worst first."""
    found = [item for item in weights if not item["equal"]]
    return sorted(found, key=lambda item: (item["snr_db"] is None, item["snr_db"] or 0.0))


def _weights(weights: Sequence[Mapping[str, Any]], most: int | None) -> Iterator[str]:
    changed = _changed(weights)
    if not weights:
        return
    if not changed:
        yield f"weights: {len(weights)} the same"
        return
    rows = [("", "", "SNR dB", "max abs", "a", "b", "")]
    rows += [
        (
            item["change"],
            _short(item["name"]),
            "" if item["snr_db"] is None else f"{item['snr_db']:.1f}",
            "" if item["max_abs"] is None else f"{item['max_abs']:.6g}",
            _tensor(item["a"]),
            _tensor(item["b"]),
            item["why"] or "",
        )
        for item in changed
    ]
    yield from _section(f"weights: {len(weights) - len(changed)} the same, {len(changed)} not", rows, most)


def _tensor(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return "-"
    if found["shape"] is None:
        return f"{found['size']} bytes {found['sha256'][:12]}"
    return f"{'x'.join(map(str, found['shape'])) or 'one'} {found['dtype']}"


def _blob(part: Mapping[str, Any] | None) -> tuple[str, str]:
    return ("-", "-") if part is None else (f"0x{part['offset']:x}", str(part["size"]))


def _short(name: str) -> str:
    """A long name without its middle: exporters repeat there what the ends say."""
    return name if len(name) <= _NAME else f"{name[: _NAME // 2]}…{name[-(_NAME // 2 - 1) :]}"


def _text(value: Any, key: str = "") -> str:
    text = None if value is None else worded(key, value)
    if text is not None:
        return text
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.9g}"
    if isinstance(value, Mapping):
        text = ", ".join(
            f"{key} {_text(item, key)}" for key, item in value.items() if item not in (None, "", [])
        )
    elif isinstance(value, list):
        text = ", ".join(map(_text, value)) or "nothing"
    else:
        text = str(value)
    return text if len(text) <= _VALUE else f"{text[: _VALUE - 1]}…"
