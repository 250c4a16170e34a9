"""Stage `fetch`: a source at an https address. Its digest alone decides, so a mirror may move."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from modelbuild.build.action import OFFLINE, Resources
from modelbuild.stages.request import ModelRequest, Source

VERSION = "1"
LIBRARIES = ()
RESOURCES = Resources(memory=64 << 20)
NOT_FETCHED = "MB007"


def inputs(request: ModelRequest) -> dict[str, Source]:
    """None: it comes from the network."""
    return {}


def parameters(request: ModelRequest) -> dict[str, Any]:
    """The digest of the file."""
    return {"sha256": request.source_digest}


def unkeyed(request: ModelRequest) -> dict[str, Any]:
    """The address, and whose source it is."""
    return {"url": request.url, "model": request.model}


def run(inputs: Mapping[str, Path], parameters: Mapping[str, Any], out: Path) -> None:
    """Leaves `source`; without network, or with another file at the address, says so and keeps nothing."""
    from modelbuild import address, https
    from modelbuild.build import progress
    from modelbuild.errors import EXIT_FAILED, ModelbuildError

    url = parameters["url"]
    if os.environ.get(OFFLINE) == "1":
        raise ModelbuildError(
            f"the source of {parameters['model']} was never fetched, and --offline fetches nothing",
            where="source",
            why=f"its address is {address.shown(url)}",
            advice="build once without --offline",
            code=NOT_FETCHED,
            exit_code=EXIT_FAILED,
            passing=True,
        )
    https.fetch(
        url,
        out / "source",
        parameters["sha256"],
        lambda done, total: progress.report(done >> 20, max(done, total) >> 20, "MiB"),
    )


@contextmanager
def with_suffix(source: Path, suffix: str | None) -> Iterator[Path]:
    """The fetched source under a name with the suffix that its address has, for what chooses by it how to
    read: files of the store have none. Without a suffix it is a file of the user's and stays what it is.
    Errors name the source by its own path."""
    from tempfile import TemporaryDirectory

    from modelbuild.errors import ModelbuildError, Problem

    if suffix is None:
        yield source
        return
    with TemporaryDirectory() as folder:
        named = Path(folder) / f"source{suffix}"
        named.symlink_to(source)
        try:
            yield named
        except ModelbuildError as error:
            texts = (problem._asdict() for problem in error.problems)
            problems = (
                Problem(**{key: text.replace(str(named), str(source)) for key, text in found.items()})
                for found in texts
            )
            raise ModelbuildError.of(problems, error.exit_code) from error
