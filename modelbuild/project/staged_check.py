"""`check` of the staged content: what the next commit would hold, whatever the work tree looks like."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from modelbuild.build.reading import files_read
from modelbuild.errors import ModelbuildError, Problem
from modelbuild.manifest.manifest import Manifest
from modelbuild.project import ignoring, reads
from modelbuild.project.building import Observer
from modelbuild.project.checking import CheckReport, check, problem_finding
from modelbuild.project.layout import RECORDED
from modelbuild.project.recorded import Recorded, opened, patterns, reads_of
from modelbuild.project.recorded_tree import mentions
from modelbuild.project.repository import Repository, open_repository
from modelbuild.samples.files import gather_files
from modelbuild.stages.fetch import NOT_FETCHED

NOT_STAGED = "MB006"


def check_staged(
    directory: Path | str = ".",
    file: str = "models.yaml",
    names: Sequence[str] = (),
    observer: Observer | None = None,
    *,
    offline: bool = False,
    edition: str | None = None,
) -> CheckReport:
    """`check` of what the next commit would hold. Raises as `check` does, and exit 2 without a repository."""
    folder = Path(directory).absolute()
    with opened(open_repository(folder), folder, file, observer=observer) as recorded:
        return _checked(recorded, names, observer, offline, edition)


def check_commit(
    repository: Repository,
    folder: Path,
    file: str,
    staged: Sequence[str],
    index: Mapping[str, str],
    say: Callable[[str], None],
    observer: Observer | None,
) -> int:
    """Checks the commit to be if it concerns the project; the exit code for git. What passed is remembered.

    `staged` are the paths that it changes, `index` is all that it holds (`reads.staged_files`). A project
    that is broken, but not by this commit, stops no commit. Nothing is fetched."""
    try:
        with opened(repository, folder, file, observer=observer) as recorded:
            if not any(map(reads_of(recorded).touches, staged)):
                return 0
            report = _checked(recorded, (), observer, offline=True)
            if report.ok and not any(finding["code"] == NOT_FETCHED for finding in report.findings):
                read = reads_of(recorded, _found(recorded))
                reads.save(folder, file, reads.passed(read, index))
    except ModelbuildError as error:
        prefix = repository.prefix(folder)
        if not _breaks(error, staged, prefix) and _was_broken(error, repository, folder, file):
            say(f"modelbuild: {file} was broken before this commit: {error.problems[0]}")
            return 0
        for problem in error.problems:
            say(f"error: {problem}")
        say(_stops(len(error.problems), file))
        return error.exit_code
    return _tell(report, file, say)


def _found(recorded: Recorded) -> set[str]:
    """What the models themselves name, relative to the project."""
    actions = recorded.project.plan.actions
    goals = [action.name for action in actions if action.discover]
    return files_read(recorded.project.root, recorded.original / RECORDED, actions, goals)


def _breaks(error: ModelbuildError, staged: Sequence[str], prefix: str) -> bool:
    """Whether the commit has to do with the error: it changes a YAML file of the project or what is named."""
    inside = reads.Reads(frozenset(), frozenset(), frozenset({prefix or "."}))
    names = [*staged, *(posixpath.relpath(path, prefix or ".") for path in staged)]
    texts = [text for problem in error.problems for text in problem]
    return any(map(inside.names, staged)) or any(mentions(text, name) for text in texts for name in names)


def _was_broken(error: ModelbuildError, repository: Repository, folder: Path, file: str) -> bool:
    """Whether the commit before has the error too: of what it reads outside of its folder nobody knows, where
    the project does not load."""
    try:
        with opened(repository, folder, file, "HEAD"):
            return False
    except ModelbuildError as before:
        return set(error.problems) <= set(before.problems)


def _tell(report: CheckReport, file: str, say: Callable[[str], None]) -> int:
    errors = [finding for finding in report.findings if finding["severity"] == "error"]
    for finding in report.findings:
        if finding["severity"] == "error" or finding["code"] in (NOT_STAGED, NOT_FETCHED):
            where = finding.get("where") or finding["file"]
            if finding["file"] and finding["line"] is not None:
                where = f"{finding['file']}:{finding['line']}:{finding['column']}"
            told = Problem(finding["message"], where, advice=finding["advice"], code=finding["code"])
            say(f"{finding['severity']}: {told}")
    if errors:
        say(_stops(len(errors), file))
    return report.exit_code


def _stops(errors: int, file: str) -> str:
    count = f"{errors} errors" if errors > 1 else "an error"
    return f"modelbuild: {count} in what is staged of {file}; `git commit --no-verify` commits it as it is"


def _checked(
    recorded: Recorded,
    names: Sequence[str],
    observer: Observer | None,
    offline: bool,
    edition: str | None = None,
) -> CheckReport:
    report = check(recorded.project, names, observer, offline=offline, edition=edition)
    findings = [_told(finding, recorded) for finding in report.findings]
    return replace(report, findings=(*findings, *_not_staged(recorded)))


def _told(finding: dict[str, Any], recorded: Recorded) -> dict[str, Any]:
    """The finding with the work tree's paths."""
    problem = recorded.told(
        ModelbuildError(finding["message"], where=finding.get("where", ""), advice=finding["advice"])
    ).problems[0]
    shown = {**finding, "message": problem.what, "advice": problem.advice}
    if "where" in finding:
        shown["where"] = problem.where
    return shown


def _not_staged(recorded: Recorded) -> list[dict[str, Any]]:
    """A warning for each sample set that has more files in the work tree than git was told of."""
    tree, manifest = recorded.tree, recorded.project.manifest
    prefix = tree.repository.prefix(recorded.original)
    findings = []
    for name, written in manifest.spec.samples.items() if tree.not_recorded else ():
        files = {path for glob in patterns(written) for path in _matching(glob, recorded.original)}
        missing = [
            path for path in files if posixpath.normpath(posixpath.join(prefix, path)) in tree.not_recorded
        ]
        if missing:
            findings.append(_finding(manifest, name, sorted(missing)))
    return [finding for finding in findings if not ignoring.of_manifest(manifest, finding)]


def _matching(pattern: str, folder: Path) -> list[str]:
    """The files in the work tree, relative to the project's folder."""
    try:
        return [os.path.relpath(path, folder).replace(os.sep, "/") for path in gather_files(pattern, folder)]
    except ModelbuildError:  # the work tree is not what is judged
        return []


def _finding(manifest: Manifest, name: str, missing: Sequence[str]) -> dict[str, Any]:
    count = f"{len(missing)} files" if len(missing) > 1 else "1 file"
    warning = Problem(
        f"{count} of the sample set `{name}` in the work tree, not in git: {missing[0]}",
        manifest.position(("samples", name)),
        advice="`git add` what belongs to the set; what git ignores is used as it lies there",
        code=NOT_STAGED,
    )
    return {**problem_finding(warning), "severity": "warning"}
