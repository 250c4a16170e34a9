"""Altered files of the kinds that are shown member by member: an object or the documented error."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from modelbuild.artifacts.inspect import inspect
from modelbuild.artifacts.kinds import Kind
from modelbuild.artifacts.tree import render
from modelbuild.errors import ModelbuildError
from tests.artifacts.test_kinds import CONTENTS
from tests.formats.mutations import mutate

KINDS = (Kind.MPK, Kind.TAR_GZ, Kind.TAR, Kind.ZIP, Kind.SIMA, Kind.ELF)


@pytest.mark.parametrize("kind", KINDS)
def test_altered_files_are_shown_or_refused(kind: Kind, tmp_path: Path) -> None:
    dice = random.Random(11)
    path = tmp_path / "file"
    for _ in range(150):
        path.write_bytes(mutate(CONTENTS[kind], dice))
        try:
            found = inspect(path)
        except ModelbuildError as error:
            assert error.exit_code == 2 and str(path) in error.problems[0].where
        else:
            assert json.loads(json.dumps(found, allow_nan=False)) == found
            assert render(found)
