"""`tools/post.py:decode`: how a function of the user's is named."""

from __future__ import annotations

from modelbuild.errors import ModelbuildError


def parted(spec: str) -> tuple[str, str]:
    """`FILE.py:FUNCTION` as file and function. Raises (exit 2) for anything else."""
    file, colon, name = spec.rpartition(":")
    if not colon or not file.endswith(".py") or not name.isidentifier():
        raise ModelbuildError(
            f"`{spec}` does not name a function in a file",
            advice="write FILE.py:FUNCTION, for instance tools/post.py:decode",
        )
    return file, name
