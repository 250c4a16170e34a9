"""What each git hook does: little, if nothing that modelbuild reads is concerned; else work, told in a line.

Nothing heavy is imported before it is known that there is work."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from modelbuild.errors import EXIT_FAILED, ModelbuildError
from modelbuild.manifest.lock_name import LOCK
from modelbuild.project import layout
from modelbuild.project.hook_script import HOOKS, ProjectLine, parse
from modelbuild.project.options import BuildOptions
from modelbuild.project.repository import Repository, find

if TYPE_CHECKING:
    from modelbuild.project.build_report import BuildReport
    from modelbuild.project.building import Observer

# In the middle of these git checks out one commit after another, which nobody wants built each.
UNDER_WAY = ("rebase-merge", "rebase-apply", "BISECT_LOG")
READ_INPUT = ("pre-push",)
_BRANCH = "refs/heads/"


class Call(NamedTuple):
    """One run of a hook for one project. `say` tells the user a line; `observer` tells of actions."""

    hook: str
    arguments: tuple[str, ...]
    stdin: str
    repository: Repository
    folder: Path
    file: str
    say: Callable[[str], None]
    observer: Observer | None


def run(
    hook: str,
    script: Path,
    arguments: Sequence[str],
    stdin: str,
    say: Callable[[str], None],
    observer: Observer | None = None,
) -> int:
    """Does what the hook is for, for every project that its script names; the exit code for git.

    Raises ModelbuildError for what is wrong in a project."""
    if hook not in RUNS:
        raise ModelbuildError(f"there is no hook {hook}", advice=f"hooks are {', '.join(HOOKS)}")
    repository = find(Path.cwd())
    if repository is None:
        raise ModelbuildError("a hook runs in a git repository, and this folder is in none")
    codes = [
        RUNS[hook](
            Call(
                hook,
                tuple(arguments),
                stdin,
                repository,
                repository.top / one.folder,
                one.file,
                say,
                observer,
            )
        )
        for one in _projects(hook, script, repository)
    ]
    return max(codes, default=0)


def _projects(hook: str, script: Path, repository: Repository) -> Iterator[ProjectLine]:
    """Those of this repository, where the hook serves several."""
    try:
        text = script.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError as error:
        raise ModelbuildError(f"cannot read {script}", why=error.strerror or "") from error
    found = parse(hook, text)
    for project in found.projects if found else ():
        if project.repository in ("", str(repository.common)):
            yield project


def _pre_commit(call: Call) -> int:
    """Checks what is staged, if the project reads any of it and it is not what passed before."""
    from modelbuild.project import reads

    staged = reads.staged_paths(call.repository)
    index = reads.staged_files(call.repository) if staged else {}
    prefix = call.repository.prefix(call.folder)
    if f"{prefix}/{call.file}".removeprefix("/") not in index:
        return 0
    known = reads.load(call.folder, call.file)
    if known is not None:
        touched = any(map(known.reads.touches, staged))
        if reads.is_same(known, index) or (not touched and reads.is_valid(known, index)):
            return 0
    from modelbuild.project.staged_check import check_commit

    return check_commit(call.repository, call.folder, call.file, staged, index, call.say, call.observer)


def _rebuild(call: Call) -> int:
    """Has the project rebuilt in the background, if it was ever built here and a build would do anything."""
    from modelbuild.project import background, settled

    if not (call.folder / call.file).is_file() or not (call.folder / layout.STATE / "records").is_dir():
        return 0
    under_way = any(map(call.repository.has, UNDER_WAY))
    if under_way and call.hook != "post-rewrite":
        return 0
    if settled.unchanged(call.folder, call.file) is not None:
        return 0
    if background.trigger(call.folder, call.file, _background_command()):
        shown = os.path.relpath(call.folder / background.LOG)
        call.say(f"modelbuild: rebuilding in the background; it tells {shown}")
    return 0


def _background_command() -> tuple[str, ...]:
    from modelbuild.project.hooks import own_command

    return (*own_command(), "hooks", "background")


def _pre_push(call: Call) -> int:
    """Builds each commit that becomes the tip of a branch elsewhere: in place, if that is what lies here."""
    lines = [line.split(" ") for line in call.stdin.splitlines()]
    tips = [words[1] for words in lines if len(words) == 4 and words[2].startswith(_BRANCH)]
    wanted = [tip for tip in dict.fromkeys(tips) if tip.strip("0")]
    try:
        return max((_build_pushed(call, commit) for commit in wanted), default=0)
    except ModelbuildError as error:
        for problem in error.problems:
            call.say(f"error: {problem}")
        return _stop(call, error.exit_code, "")


def _build_pushed(call: Call, commit: str) -> int:
    from modelbuild.project import settled

    prefix = call.repository.prefix(call.folder)
    manifest, lock = (f"{commit}:{prefix}/{name}".replace(":/", ":") for name in (call.file, LOCK))
    if not call.repository.succeeds("cat-file", "-e", manifest):
        return 0
    options = BuildOptions(locked=call.repository.succeeds("cat-file", "-e", lock))
    if _lies_here(call, commit):
        report = settled.unchanged(call.folder, call.file, options=options)
        if report is None:
            report = _build_here(call, options)
        where = ""
    else:
        from modelbuild.project.recorded import build_commit

        report = build_commit(call.repository, call.folder, call.file, commit, options, call.observer)
        where = f" as {commit[:12]} has it"
    return _tell(call, report, f"{where}, with {LOCK}" if options.locked else f"{where} (there is no {LOCK})")


def _lies_here(call: Call, commit: str) -> bool:
    """Whether the work tree is the commit, and git looks at every file that the project reads."""
    from modelbuild.project import reads

    head = os.fsdecode(call.repository.git("rev-parse", "--verify", "HEAD")).strip()
    words = ("status", "--porcelain", "-z", "--no-renames", "--untracked-files=all")
    changes = call.repository.names(*words) if head == commit else ["M"]
    if not all(change.startswith("??") for change in changes):
        return False
    unknown = [*(change[3:] for change in changes), *call.repository.unwatched()]
    known = reads.load(call.folder, call.file) if unknown else None
    if known is None or not reads.is_valid(known, reads.staged_files(call.repository)):
        return not unknown
    return not any(map(known.reads.touches, unknown))


def _build_here(call: Call, options: BuildOptions) -> BuildReport:
    from modelbuild.project.building import build
    from modelbuild.project.project import open_project

    project = open_project(call.folder, call.file, locked=options.locked)
    return build(project, (), options, call.observer)


def _tell(call: Call, report: BuildReport, how: str) -> int:
    for action, error in report.failures:
        call.say(f"modelbuild: {action} failed: {error}")
    if not report.ok:
        return _stop(call, report.exit_code or EXIT_FAILED, how)
    if any(state == "run" for state in report.states.values()):
        call.say(f"modelbuild: {call.file} builds{how}")
    return 0


def _stop(call: Call, code: int, how: str) -> int:
    call.say(f"modelbuild: the push stops, for {call.file} does not build{how}; --no-verify pushes it")
    return code


RUNS: Mapping[str, Callable[[Call], int]] = {
    "pre-commit": _pre_commit,
    "post-merge": _rebuild,
    "post-checkout": _rebuild,
    "post-rewrite": _rebuild,
    "pre-push": _pre_push,
}


def serve(folder: Path, say: Callable[[str], None]) -> None:
    """Builds manifests of a folder in the background, in this process, until no one asks for another."""
    from modelbuild.project import background

    os.nice(10)  # nobody waits for it
    background.serve(folder, lambda file: _build_once(folder, file, say))


def _build_once(folder: Path, file: str, say: Callable[[str], None]) -> None:
    from modelbuild.project.building import build
    from modelbuild.project.project import open_project

    at = _commit_of(folder)
    try:
        report = build(open_project(folder, file), (), BuildOptions(keep_going=True))
    except ModelbuildError as error:
        say(f"failed{at}: {file}: {error}")
        return
    for action, failure in report.failures:
        say(f"failed: {file}: {action}: {failure}")
    counts = [
        f"{report.count(state)} {word}"
        for state, word in (("run", "ran"), ("cached", "cached"), ("failed", "failed"))
    ]
    say(("built: " if report.ok else "not built: ") + ", ".join(counts) + f" of {file}{at}")


def _commit_of(folder: Path) -> str:
    """` at ` and the short hash of the commit that is checked out, for a log that is read later."""
    repository = find(folder)
    if repository is None or not repository.succeeds("rev-parse", "-q", "--verify", "HEAD"):
        return ""
    return " at " + repository.git("rev-parse", "--short", "HEAD").decode().strip()
