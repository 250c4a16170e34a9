"""`modelbuild cache`: what the store holds, whether it is whole, and what can go."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from modelbuild.cli import console
from modelbuild.errors import EXIT_FAILED, ModelbuildError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    add = parser.add_argument
    add(
        "action",
        choices=tuple(ACTIONS),
        metavar="stats|verify|gc",
        help="say what the store holds; read all of it and set damage aside; remove what no build needs",
    )
    add("--max-size", metavar="SIZE", help="gc: remove until the store has this size: 10G, 500M")
    add("--older-than", metavar="AGE", help="gc: remove what was not used for so long: 30d, 12h")
    add("-n", "--dry-run", action="store_true", help="gc: say what would go; remove nothing")


def run(options: argparse.Namespace) -> int:
    """Do what the first word says."""
    wrong = [name for name in ("max_size", "older_than", "dry_run") if getattr(options, name)]
    if options.action != "gc" and wrong:
        raise ModelbuildError(
            f"--{wrong[0].replace('_', '-')} goes with `cache gc`, not with `cache {options.action}`",
            advice="leave it out",
        )
    return ACTIONS[options.action](options, Path(options.directory).absolute())


def _stats(options: argparse.Namespace, root: Path) -> int:
    from modelbuild.project import caching

    found = caching.stats(root)
    rows = [
        [name, str(found[name]["records"]), str(found[name]["blobs"]), _size(found[name]["size"])]
        for name in ("live", "garbage")
    ]
    rows.append(["all", str(found["records"]["count"]), str(found["blobs"]["count"]), _size(found["size"])])
    lines = [console.table(("", "results", "files", "size"), rows, right=(1, 2, 3))]
    lines.append(f"live is what the last build of each request rests on ({found['builds']} so far)")
    if found["damaged"]["count"]:
        lines.append(f"{found['damaged']['count']} damaged files are set aside; `cache gc` removes them")
    console.result("\n".join(lines), found)
    return 0


def _verify(options: argparse.Namespace, root: Path) -> int:
    from modelbuild.project import caching

    found = caching.check(root, _waiting, lambda held: console.detail(f"reading {held.name}"))
    bad = (*found.blobs, *found.records)
    lines = [f"damaged, and set aside: {held.path}" for held in bad]
    lines += [
        f"without {len(lost)} of its files: the result {key[:16]}" for key, lost in found.missing.items()
    ]
    if found.ok:
        lines.append(f"{found.read} files are whole ({_size(found.read_bytes)})")
    else:
        lines.append("the next build makes again what it needs of it, and `cache gc` removes the rest")
    data = {
        "ok": found.ok,
        "read": found.read,
        "size": found.read_bytes,
        "damaged": [str(held.path) for held in bad],
        "incomplete": sorted(found.missing),
    }
    console.result("\n".join(lines), data)
    return 0 if found.ok else EXIT_FAILED


def _gc(options: argparse.Namespace, root: Path) -> int:
    from modelbuild.project import caching

    max_size = None if options.max_size is None else caching.parse_size(options.max_size)
    older_than = None if options.older_than is None else caching.parse_age(options.older_than)
    found = caching.gc(root, _waiting, max_size=max_size, older_than=older_than, dry_run=options.dry_run)
    files = len(found.blobs) + len(found.waste)
    did = "would remove" if options.dry_run else "removed"
    lines = [
        f"{did} {len(found.records)} results and {files} files, {_size(found.freed)}; "
        f"{_size(found.left)} are left"
    ]
    if max_size is not None and found.left > max_size:
        lines.append(f"the last builds rest on {_size(found.live)}, which stays")
    data: dict[str, Any] = {
        "ok": True,
        "dry_run": options.dry_run,
        "removed": {"records": len(found.records), "blobs": len(found.blobs), "waste": len(found.waste)},
        "freed": found.freed,
        "left": found.left,
        "live": found.live,
    }
    console.summary("\n".join(lines), data)
    return 0


def _waiting() -> None:
    console.progress("waiting for another modelbuild in this folder")


def _size(count: int) -> str:
    from modelbuild.build.memory import readable

    return readable(count)


ACTIONS: Mapping[str, Callable[[argparse.Namespace, Path], int]] = {
    "stats": _stats,
    "verify": _verify,
    "gc": _gc,
}
