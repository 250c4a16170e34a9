"""One manifest in many handwritings: order, quotes, anchors, comments, block and flow, included files."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from random import Random
from typing import Any

PLAIN = re.compile(r"[A-Za-z_./][A-Za-z0-9_./-]*")
SECTIONS = ("samples", "models", "targets", "packages")
Value = Any  # dicts, lists, text, numbers, True, False, None


@dataclass
class Hand:
    """Writes YAML as `random` decides; `shaky` 0 writes everything in the plainest way."""

    random: Random
    shaky: float
    anchors: dict[str, Value] = field(default_factory=dict)

    def document(self, value: dict[str, Value]) -> str:
        """A whole file."""
        text = "\n".join(self._block(value, 0)) + "\n"
        if self._maybe():
            text = f"# from here on\n---\n{text}"
        if self._maybe():
            text = text.replace("\n", "\r\n")
        return "\ufeff" + text if self._maybe() else text

    def _maybe(self) -> bool:
        return self.random.random() < self.shaky

    def _shuffled(self, value: dict[str, Value]) -> list[tuple[str, Value]]:
        items = list(value.items())
        if self._maybe():
            self.random.shuffle(items)
        return items

    def _block(self, value: dict[str, Value], indent: int) -> list[str]:
        """The lines of a mapping in block style."""
        lines = []
        left = dict(value)
        if (base := self._base(value)) is not None:
            lines.append(" " * indent + f"<<: *{base}")
            left = {key: item for key, item in value.items() if key not in self.anchors[base]}
        for key, item in self._shuffled(left):
            if self._maybe():
                lines.append(" " * self.random.randrange(8) + f"# why {key}: because, {{not}} [this]")
            head = " " * indent + self._key(key) + ":"
            if isinstance(item, dict) and item and not self._maybe():
                anchor = self._anchor(item)
                lines += [head + (f" &{anchor}" if anchor else ""), *self._block(item, indent + 2)]
                self._remember(anchor, item)
            else:
                written = self._flow(item)
                space = " " * self.random.randrange(1, 4) if self._maybe() else " "
                lines.append(head + (space + written if written else "") + self._tail())
        return lines

    def _tail(self) -> str:
        return "   # so" if self._maybe() else ""

    def _key(self, key: str) -> str:
        return self.random.choice([f'"{key}"', f"'{key}'"]) if self._maybe() else key

    def _flow(self, value: Value) -> str:
        """The value on one line."""
        for name, known in self.anchors.items():
            if known == value and type(known) is type(value) and self._maybe():
                return f"*{name} "
        anchor = self._anchor(value)
        prefix = f"&{anchor} " if anchor else ""
        if isinstance(value, dict):
            pairs = (f"{self._key(key)}: {self._flow(item)}" for key, item in self._shuffled(value))
            written = "{" + ", ".join(pairs) + "}"
        elif isinstance(value, list):
            written = "[" + ", ".join(self._flow(item) for item in value) + "]"
        else:
            written = self._scalar(value)
        self._remember(anchor, value)
        return prefix + written

    def _anchor(self, value: Value) -> str:
        return (
            f"a{len(self.anchors)}x{self.random.randrange(10**6)}"
            if value is not None and self._maybe()
            else ""
        )

    def _remember(self, anchor: str, value: Value) -> None:
        if anchor:
            self.anchors[anchor] = value

    def _base(self, value: dict[str, Value]) -> str | None:
        """An anchored mapping that is part of this one, to be merged."""
        for name, known in self.anchors.items():
            if isinstance(known, dict) and known and known.items() <= value.items() and self._maybe():
                return name
        return None

    def _scalar(self, value: Value) -> str:
        if value is None:
            return self.random.choice(["~", "null", "Null"]) if self._maybe() else "~"
        if isinstance(value, bool):
            return self.random.choice([str(value).lower(), str(value), str(value).upper()])
        if isinstance(value, int):
            return hex(value) if value > 255 and self._maybe() else str(value)  # whole numbers only
        if isinstance(value, float):
            return (
                self.random.choice([f"{value:e}", f"+{value!r}", f"{value!r}0"])
                if self._maybe()
                else repr(value)
            )
        assert isinstance(value, str)
        if PLAIN.fullmatch(value) and not self._maybe():
            return value
        return f"'{value}'" if self._maybe() else f'"{value}"'


def files(manifest: dict[str, Value], random: Random, shaky: float) -> dict[str, str]:
    """File name -> text: models.yaml, and what it includes, if entries happen to be moved out of it."""
    parts: dict[str, dict[str, dict[str, Value]]] = {}
    own: dict[str, Value] = {}
    for section, entries in manifest.items():
        if section not in SECTIONS:
            own[section] = entries
            continue
        own[section] = {}
        for name, entry in entries.items():
            part = f"parts/{random.randrange(3)}.yaml" if random.random() < shaky / 2 else ""
            (parts.setdefault(part, {}).setdefault(section, {}) if part else own[section])[name] = entry
        if not own[section]:
            del own[section]
    if parts:
        own["include"] = ["parts/*.yaml"] if random.random() < shaky else sorted(parts)
    return {
        "models.yaml": Hand(random, shaky).document(own),
        **{name: Hand(random, shaky).document(part) for name, part in parts.items()},
    }
