"""Where `evaluate --format` may write: over nothing but an older report of the same kind."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from modelbuild import output_file
from modelbuild.cli.recording.places import checked, refused
from modelbuild.errors import ModelbuildError
from modelbuild.formats import kneron_nodes

_OPTION = "-o"
# What a report's name ends in -> how such a file begins.
_BEGINNINGS: Mapping[str, tuple[bytes, ...]] = {
    "ip_eval_prof.txt": (b"[Evaluation Result]", b"***** Warning: this model has "),
    "ProfileResult.txt": (b"=========================\n===== Configuration =====",),
    kneron_nodes.NAME: (kneron_nodes.BEGINNING,),
    "mla_stats.yaml": (b"0:\n  name: MLA_0/", b"{}\n"),
}


def place(root: Path, manifest: str, output: str | None, name: str, read: Mapping[str, Path]) -> Path:
    """The path of the report `name`: `output`, a file or folder, from `root`. `read` are the files that the
    command reads, by what they are. Raises (exit 2) where one of these, a file of builds, or anything that is
    no such report would be overwritten."""
    text = name if output is None else output
    if (root / text).is_dir():
        text = str(Path(text) / name)
    path = checked(root, manifest, {_OPTION: text})[_OPTION]
    if path is None:
        raise ModelbuildError("a vendor's report goes to a file", where=text, advice=f"write -o {name}")
    real = os.path.realpath(path)
    for what, one in read.items():
        if os.path.realpath(one) == real:
            raise _over(f"the {what}", text, "this command reads it", name)
    beginnings = next(known for ending, known in _BEGINNINGS.items() if name.endswith(ending))
    if not _may_be(path, text, beginnings):
        why = f"it does not begin like a {name}"
        raise _over("a file that is no such report", text, why, name)
    return path


def beside(root: Path, output: str | None, name: str) -> str:
    """Where a report's table goes: under its own `name` where the report has its own; else called like it."""
    if output is None or (root / output).is_dir():
        return str(Path(output or "") / name)
    return str(Path(output).with_suffix(".nodes.csv"))


def _may_be(path: Path, text: str, beginnings: tuple[bytes, ...]) -> bool:
    """Whether nothing lies there, or such a report."""
    try:
        if not path.exists() or output_file.check(path, _OPTION):
            return True
        with path.open("rb") as stream:
            head = stream.read(max(map(len, beginnings)))
    except OSError as error:
        raise refused(_OPTION, text, error) from None
    return head.startswith(beginnings)


def _over(what: str, where: str, why: str, name: str) -> ModelbuildError:
    return ModelbuildError(
        f"the report would overwrite {what}",
        where=where,
        why=why,
        advice=f"name another file, such as -o new_{name}",
    )
