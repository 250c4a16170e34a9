"""The programs inside a package file of ours, and the choice of one."""

from __future__ import annotations

from pathlib import Path

from modelbuild import input_file
from modelbuild.artifacts.packing import FORMATS, Program
from modelbuild.errors import ModelbuildError, did_you_mean
from modelbuild.formats import sealed
from modelbuild.formats.sealed_keys import Secrets

__all__ = ["Program", "choose", "programs", "sealed_format", "sealed_programs"]


def programs(path: Path, kind: str) -> list[Program]:
    """Every program in the package `path` of the container format `kind`."""
    with input_file.naming(str(path)):
        found: list[Program] = FORMATS[kind].unpack(input_file.read(path), path.name)
    return found


def sealed_programs(path: Path, secrets: Secrets | None) -> list[Program]:
    """Every program in an encrypted package. Errors: ModelbuildError where the secrets are not there, or do
    not open it."""
    data = input_file.read(path)
    with input_file.naming(str(path)):
        header = sealed.read_header(data)
        if secrets is None:
            raise ModelbuildError(
                "the package is encrypted, and runs with its keys only", advice=sealed.how_to_open(header)
            )
        if header.format not in FORMATS:
            raise ModelbuildError(
                f"an encrypted file of the kind {header.format} cannot be run",
                why=f"what runs is {', '.join(FORMATS)}",
                advice="open it with modelbuild nef decrypt, and inspect it",
            )
        name = path.name.removesuffix(sealed.SUFFIX)
        found: list[Program] = FORMATS[header.format].unpack(sealed.open_sealed(data, secrets), name)
    return found


def sealed_format(path: Path) -> str:
    """The format of what an encrypted file holds."""
    return sealed.read_header(input_file.read(path)).format


def choose(found: list[Program], wanted: str | None, where: str) -> Program:
    """The program with the id (decimal or 0x…) or name `wanted`; the only one where nothing is wanted.

    Raises for none, and for several: an id and a name may be alike, and names may be there twice."""
    if wanted is None:
        if len(found) == 1:
            return found[0]
        names = ", ".join(_called(program) for program in found)
        raise ModelbuildError(
            f"the package holds {len(found)} models",
            where=where,
            why=names,
            advice="choose with --model ID|NAME",
        )
    meant = [
        program
        for program in found
        if wanted == program.name or (program.id is not None and _number(wanted) == program.id)
    ]
    if len(meant) == 1:
        return meant[0]
    if meant:
        raise ModelbuildError(
            f"the package holds {len(meant)} models that are `{wanted}`",
            where=where,
            why=", ".join(_called(program) for program in meant),
            advice="choose by an id that one of them has: --model ID",
        )
    raise ModelbuildError(
        f"the package holds no model `{wanted}`",
        where=where,
        why=f"it holds {', '.join(_called(program) for program in found)}",
        advice=did_you_mean(wanted, [program.name for program in found]) or "name one of these, or its id",
    )


def _called(program: Program) -> str:
    return program.name if program.id is None else f"{program.name} (id {program.id})"


def _number(text: str) -> int | None:
    try:
        return int(text, 0)
    except ValueError:
        return None
