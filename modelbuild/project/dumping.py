"""`build --dump DIR`: what every stage made, under names that people can read. It is part of no key."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from modelbuild.build import disk
from modelbuild.build.result import BuildResult
from modelbuild.errors import ModelbuildError
from modelbuild.project.goals import goals
from modelbuild.project.project import DIST, REPORTS, STATE, Project
from modelbuild.stages.request import SHARED

MARK = ".modelbuild-dump"  # a folder with this file in it may be replaced
_MARK_TEXT = b"Written by `modelbuild build --dump`, which replaces this folder as a whole.\n"


def check_folder(root: Path, folder: Path) -> None:
    """Raises ModelbuildError for a folder that holds somebody's files, or in which builds keep theirs."""
    inside = next((own for own in (STATE, DIST, REPORTS) if folder.is_relative_to(root / own)), None)
    if inside is not None:
        raise ModelbuildError(
            f"--dump cannot write into {inside}/, which is the build's own", advice="name another folder"
        )
    try:
        foreign = folder.exists() and not (folder / MARK).is_file() and any(folder.iterdir())
    except OSError as error:
        raise ModelbuildError(
            "--dump cannot use this folder", where=str(folder), why=error.strerror or str(error)
        ) from None
    if foreign:
        raise ModelbuildError(
            "--dump would replace a folder that holds other files",
            where=str(folder),
            advice="name a folder that is new, empty, or of an earlier --dump",
        )


def dump(
    project: Project,
    names: Sequence[str],
    until: str | None,
    folder: Path,
    failures: Mapping[str, ModelbuildError] | None = None,
) -> None:
    """Replaces `folder` by what a build of the selection has left, cached or not; complete or as it was, also
    if it is killed, where the system can exchange two names.

    `failures` is action -> error: those leave `failure.txt`. Raises as `check_folder`, and ModelbuildError
    (exit 1) where the disk refuses."""
    check_folder(project.root, folder)
    folder = Path(os.path.realpath(folder))  # a link stays one
    wanted = goals(project, names, until)
    result = project.builder.build(project.plan.actions, wanted, jobs=1, keep_going=True, dry_run=True)
    new, old = (folder.with_name(f".{folder.name}.{what}") for what in ("new", "old"))
    try:
        disk.remove_tree(new)
        disk.make_folder(new)
        (new / MARK).write_bytes(_MARK_TEXT)
        for action in result.states:
            for place in _places(project, result, action):
                _write(project, result, action, new / place, (failures or {}).get(action))
        disk.remove_tree(old)
        disk.put_folder(new, folder, old)
    except OSError as error:
        raise disk.failure("write the dump", folder, error) from error
    finally:
        disk.remove_tree(new)


def _places(project: Project, result: BuildResult, action: str) -> Iterator[str]:
    """The folders of an action: MODEL@TARGET/STAGE (of every target that shares it), PACKAGE/STAGE, or
    PACKAGE/STAGE/MODEL."""
    owner, stage = action.rsplit(":", 1)
    package, slash, model = owner.partition("/")
    if "@" not in owner and stage in SHARED:
        pairs = [request for pair, request in project.plan.models.items() if pair[0] == owner]
        reached = [one for one in pairs if one.action("lower") in result.states] or pairs
        yield from (f"{one.model}@{one.target}/{stage}" for one in reached)
    else:
        yield f"{package}/{stage}{slash}{model}"


def _write(
    project: Project, result: BuildResult, action: str, folder: Path, failure: ModelbuildError | None
) -> None:
    if failure is not None:
        disk.make_folder(folder)
        (folder / "failure.txt").write_text(f"{failure}\n", encoding="utf-8")
    outputs = result.outputs.get(action, {})
    for name in outputs:
        disk.make_folder((folder / name).parent)
        shutil.copyfile(project.builder.output(result, action, name), folder / name)
    if {"command.bin", "host.bin"} <= outputs.keys():
        _write_program(folder)


def _write_program(folder: Path) -> None:
    """The tile list and the program as text, beside a compiled program."""
    from modelbuild.npu.program.disassembler import disassemble
    from modelbuild.npu.program.tile_list import tile_list

    command, host = ((folder / f"{part}.bin").read_bytes() for part in ("command", "host"))
    for name, lines in (("tiles.txt", tile_list(command, host)), ("program.txt", disassemble(command, host))):
        (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
