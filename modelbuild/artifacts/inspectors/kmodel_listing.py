"""The disassembly of a kmodel as a listing: a line an instruction, the registers of layers under theirs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

_WIDTH = 100
_NAME_WIDTH = 20


def listing(code: Mapping[str, Any], whole: bool = False) -> str:
    """The text of the object `disassembly`; ends in a newline. With `whole` also why tables of other releases
    do not fit."""
    return "".join(f"{line}\n" for line in _lines(code, whole))


def _lines(code: Mapping[str, Any], whole: bool) -> Iterable[str]:
    yield "disassembly:"
    yield from _tables(code, whole or not code["clean"])
    functions = code["functions"]
    if functions and not whole and not any(item["instructions"] for item in functions):
        size = sum(item["size"] for item in functions)
        why = functions[0]["unread"]["why"] if functions[0]["unread"] else "they are empty"
        yield f"  {len(functions)} functions, {size} bytes: unknown; {why} (-v lists them)"
        functions = []
    for item in functions:
        yield f"  module {item['module']}, {item['kind']}, function {item['function']}: {item['size']} bytes"
        for instruction in item["instructions"]:
            yield from _instruction(instruction)
        if item["unread"]:
            rest = item["unread"]
            yield f"    0x{rest['offset']:06x}  unknown, {rest['size']} bytes: {rest['why']}"
    for layer in code["layers"]:
        yield from _instruction({**layer, "name": f"{layer['index']} {layer['name']}"})


def _tables(code: Mapping[str, Any], whole: bool) -> Iterable[str]:
    """Which releases' tables read the code; and, where `whole`, why the others do not."""
    if not code["tables"]:
        return
    if code["clean"]:
        also = "" if code["agree"] else ", which do not all say the same"
        yield f"  read cleanly by the tables of nncase {', '.join(code['clean'])}{also}"
    else:
        yield "  read cleanly by no table"
    yield f"  shown by that of {', '.join(code['shown'])}"
    others = [table for table in code["tables"] if not table["ok"]]
    if others and not whole:
        count = sum(len(table["versions"]) for table in others)
        yield f"  not by those of {count} other releases (-v says why)"
    for table in others:
        if whole:
            versions = ", ".join(table["versions"])
            yield f"  not by that of {versions}: at 0x{table['offset']:06x} {table['why']}"


def _instruction(item: Mapping[str, Any]) -> Iterable[str]:
    words = [f"{key}={_text(value)}" for key, value in item["operands"].items()]
    words += [f"{key}={_text(value)}" for key, value in item.get("stack", {}).items()]
    yield from _wrapped(f"    0x{item['offset']:06x}  {item['name']:<{_NAME_WIDTH}}", words)
    for part in ("registers", "reserved", "batch_norm", "activation", "weights"):
        if item.get(part):
            shown = [f"{key}={_text(value)}" for key, value in item[part].items()]
            yield from _wrapped(" " * 14 + part.replace("_", " ") + ":", shown)
    for problem in item.get("problems", ()):
        yield " " * 14 + f"problem: {problem}"


def _wrapped(head: str, words: list[str]) -> Iterable[str]:
    """The words behind the head, on further lines where one would be too long."""
    line = head
    for word in words:
        if len(line) + len(word) >= _WIDTH and line.strip() != head.strip():
            yield line.rstrip()
            line = " " * 15
        line += f" {word}"
    yield line.rstrip()


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return _place(value)
    if isinstance(value, list):
        return f"[{','.join(_text(item) for item in value)}]"
    if isinstance(value, float):
        return f"{value:.9g}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "?" if value is None else str(value)


def _place(value: Mapping[str, Any]) -> str:
    if "register" in value:
        return f"r{value['register']}{'?' if value['value'] is None else _text(value['value'])}"
    if set(value) <= {"location", "offset", "subresource"}:
        behind = f".{value['subresource']}" if "subresource" in value else ""
        return f"{value['location']}{behind}+{value['offset']}"
    return "{" + ", ".join(f"{key} {_text(item)}" for key, item in value.items()) + "}"
