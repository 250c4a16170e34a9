"""The store of a project: what it holds, whether it is whole, and what can go."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from modelbuild.build.garbage import Collected, collect
from modelbuild.build.inventory import Held, contents, size_of
from modelbuild.build.memory import parse_bytes
from modelbuild.build.roots import read_all
from modelbuild.build.verifying import Damage, verify
from modelbuild.errors import ModelbuildError
from modelbuild.project.layout import RECORDED, STATE

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_AGE = re.compile(r"(\d{1,9})\s*([smhdw])", re.IGNORECASE)


def stats(root: Path) -> dict[str, Any]:
    """Numbers and bytes of what the store holds: the object of `cache stats --json`."""
    folder = _state(root)
    found = contents(folder, root)
    live = {held.name for held in found.records.values() if held.name in found.live}
    live_blobs = [held for held in found.blobs.values() if held.name in found.live]
    history = folder / "history.jsonl"
    return {
        "ok": True,
        "size": found.size,
        "blobs": _count(list(found.blobs.values())),
        "records": _count(list(found.records.values())),
        "live": {"records": len(live), "blobs": len(live_blobs), "size": found.live_size},
        "garbage": {
            "records": len(found.records) - len(live),
            "blobs": len(found.blobs) - len(live_blobs),
            "size": found.size - found.live_size,
        },
        "damaged": _count(list(found.bad)),
        "builds": sum(one.about.is_live(root) for one in read_all(folder).values()),
        "history": history.stat().st_size if history.is_file() else 0,
    }


def check(root: Path, waiting: Callable[[], None], step: Callable[[Held], None]) -> Damage:
    """Reads all of the store, and sets aside what is damaged."""
    return verify(_state(root), root, waiting, step, _beside(root))


def gc(
    root: Path,
    waiting: Callable[[], None],
    *,
    max_size: int | None = None,
    older_than: int | None = None,
    dry_run: bool = False,
) -> Collected:
    """Removes what no build can use, what has not been used for `older_than` seconds, and what is beyond
    `max_size` bytes; never what the last builds of the manifests in `root` rest on."""
    return collect(
        _state(root),
        root,
        waiting,
        beside=_beside(root),
        max_size=max_size,
        older_than=older_than,
        dry_run=dry_run,
    )


def parse_size(text: str) -> int:
    """`10G`, `500M`, `0`: bytes. Raises ModelbuildError (exit 2)."""
    if text.strip() == "0":
        return 0
    try:
        return parse_bytes(text)
    except ModelbuildError:
        raise ModelbuildError(
            f"--max-size {text} is no size", advice="write a number with K, M, G or T, such as 10G, or 0"
        ) from None


def parse_age(text: str) -> int:
    """`30d`, `12h`, `2w`: seconds. Raises ModelbuildError (exit 2)."""
    found = _AGE.fullmatch(text.strip())
    if found is None:
        raise ModelbuildError(
            f"--older-than {text} is no age", advice="write a number with s, m, h, d or w, such as 30d"
        )
    return int(found[1]) * _UNITS[found[2].lower()]


def _count(files: list[Held]) -> dict[str, int]:
    return {"count": len(files), "size": size_of(files)}


def _state(root: Path) -> Path:
    folder = root / STATE
    if not folder.is_dir():
        raise ModelbuildError(
            "nothing was built here", where=str(root), advice="name the project's folder with -C"
        )
    return folder


def _beside(root: Path) -> tuple[Path, ...]:
    """Other states that share the store."""
    return (root / RECORDED,)
