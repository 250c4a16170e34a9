"""Collecting garbage from a disk that does not tell what is on it: what it does not show is not gone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from faults import Fault, Injector

from modelbuild.build.garbage import collect
from modelbuild.errors import ModelbuildError
from tests.build.store_harness import Checkout


@pytest.mark.parametrize(
    "kind", ["EACCES", *(pytest.param(kind, marks=pytest.mark.long) for kind in ("EIO", "ENOSPC", "crash"))]
)
def test_whatever_is_refused_the_live_stays(tmp_path: Path, kind: str) -> None:
    """Each operation in turn; a collection that was cut short is finished by the next."""
    for at in range(1, 1000):
        checkout = Checkout(tmp_path / str(at))
        for name in ("old", "new", "part"):
            checkout.put(name, name.encode())
        checkout.note("all", {"a": "old"})
        checkout.note("all", {"a": "new"})
        checkout.note("part", {"a": "part"}, whole=False)
        child = os.fork()
        if child == 0:
            injector = Injector(Fault(str(checkout.root), at, kind)).install()
            status = 3
            try:
                collect(checkout.folder, checkout.root, lambda: None, max_size=0, older_than=0)
                status = 0
            except ModelbuildError as error:
                status = 1 if error.exit_code == 1 and error.problems[0].advice else 2
            finally:
                os._exit(status if injector.struck else 9)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert {"new", "part"} <= checkout.names("old", "new", "part"), (at, kind)
        assert status in (0, 1, 77, 9), (at, kind)
        collect(checkout.folder, checkout.root, lambda: None, max_size=0, older_than=0)
        assert checkout.names("old", "new", "part") == {"new", "part"}
        if status == 9:
            break
    assert at > 30
