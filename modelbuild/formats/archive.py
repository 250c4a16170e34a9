"""Rules of archives that are safe to unpack: those of the vendor's loader, which tar and ZIP share."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

from modelbuild.errors import ModelbuildError
from modelbuild.formats.checks import Check, checked

MAX_ENTRIES = 2048
MAX_RATIO = 64  # bytes that one packed byte may become
FREE_SIZE = 32 << 20  # unpacked bytes that are always allowed
MAX_SIZE = 8 << 30
MAX_NAME = 1024  # bytes

REGULAR = "regular files only, no links or devices"
ABSOLUTE = "no absolute or empty path"
DRIVE = "no drive letter"
PARENT = "no path out of the folder"
CONFUSABLE = "no look-alike of slash, backslash or dot, no control character"
UTF8 = "names in UTF-8"
TWICE = "no name twice"
COUNT = f"at most {MAX_ENTRIES} entries"
SIZE = "sizes within the limits"
HEADERS = "no header that alters other members"
RULES = (REGULAR, ABSOLUTE, DRIVE, PARENT, CONFUSABLE, UTF8, TWICE, COUNT, SIZE, HEADERS)

_SHOWN = 4  # of the findings of one rule
# Slashes, dots and a backslash that are none in ASCII; NFKC alone leaves some of them as they are.
_LOOKALIKES = "\u2044\u2215\u29f8\u2216\u29f5\uff0f\uff3c\uff0e\u2024\ufe52\\"
_FORBIDDEN_CATEGORIES = ("Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp")
_PLAIN = re.compile(r"[ -\[\]-~]*")  # printable ASCII without a backslash


class Findings:
    """What breaks a rule, collected while an archive is read."""

    def __init__(self) -> None:
        self._found: dict[str, list[str]] = {}
        self.first = ""

    def add(self, rule: str, why: str) -> None:
        """`why` breaks `rule`."""
        self.first = self.first or why
        self._found.setdefault(rule, []).append(why)

    def checks(self, rules: Iterable[str] = RULES) -> tuple[Check, ...]:
        """Every rule, in order."""
        return tuple(self._check(rule, self._found.get(rule, [])) for rule in rules)

    @staticmethod
    def _check(rule: str, found: Sequence[str]) -> Check:
        more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        return checked(rule, not found, "; ".join(found[:_SHOWN]) + more)


def unpacked_limit(packed: int) -> int:
    """Bytes that an archive of `packed` bytes may become."""
    return min(MAX_SIZE, max(FREE_SIZE, MAX_RATIO * packed))


def plain_name(name: str, findings: Findings) -> str | None:
    """The name of a file below the archive's own folder, without a leading `./`; None where it breaks a rule.

    What it breaks goes into `findings`.
    """
    plain, shown = name, ascii(name[:80])
    while plain.startswith("./"):
        plain = plain[2:]
    broken: list[tuple[str, str]] = []
    pieces = plain.split("/")
    if len(name.encode("utf-8", "surrogatepass")) > MAX_NAME:
        broken.append((SIZE, f"the name {shown} has more than {MAX_NAME} bytes"))
        plain = ""
    elif not plain or plain.startswith("/"):
        broken.append((ABSOLUTE, f"{shown} is an absolute or empty path"))
    elif plain[1:2] == ":":
        broken.append((DRIVE, f"{shown} is an absolute path, with a drive letter"))
    if ".." in re.split(r"[/\\]", plain):
        broken.append((PARENT, f"{shown} leaves its folder"))
    elif plain and not plain.startswith("/") and ("." in pieces or "" in pieces):
        broken.append((PARENT, f"{shown} leaves its folder or is not a plain path"))
    if not _PLAIN.fullmatch(plain) and _is_confusable(plain):
        broken.append((CONFUSABLE, f"{shown} has characters that can be mistaken for others"))
    for rule, why in broken:
        findings.add(rule, why)
    return None if broken else plain


class Refused(ModelbuildError):
    """An archive that breaks a rule; `why` without the rest of the sentence."""

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(
            f"the archive is refused: {why}", advice="do not unpack it; get it from its maker again"
        )


def _is_confusable(name: str) -> bool:
    bad = any(char in _LOOKALIKES or unicodedata.category(char) in _FORBIDDEN_CATEGORIES for char in name)
    return bad or unicodedata.normalize("NFKC", name) != name
