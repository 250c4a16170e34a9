"""What is said of a package that no chip takes."""

from __future__ import annotations


def warning(name: str, chip: str | None) -> str:
    """That the file is for modelbuild's simulator; `chip` is the one that it stands for, if that is known."""
    return (
        f"{name} is for modelbuild's simulator, not for a {chip or 'chip'}: "
        "the container is the vendor's, the program inside is not. Do not flash it"
    )
