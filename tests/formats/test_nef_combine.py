"""Combining NEFs: what comes out is what building the models together gives, or the reason why not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from modelbuild.errors import ModelbuildError
from modelbuild.formats import nef
from modelbuild.formats.nef import Nef
from modelbuild.formats.nef_combine import combine
from tests.formats import independent_nef
from tests.formats.nef_sources import GENERATIONS, build, source

EVERY = pytest.mark.parametrize(("platform", "setup", "base"), GENERATIONS)


def single(platform: str, setup: str, base: int, number: int, **changes: object) -> Nef:
    return nef.read(build(platform, setup, base, source(number, **changes)))


@EVERY
def test_combined_is_built_together(platform: str, setup: str, base: int) -> None:
    models = [source(number) for number in range(3)]
    first = nef.read(build(platform, setup, base, models[0]))
    rest = nef.read(build(platform, setup, base, *models[1:]))
    together = build(platform, setup, base, *models)
    combined = nef.write(combine([first, rest]))
    if setup != "kne":
        assert combined == together
    wanted, found = independent_nef.parse(together), independent_nef.parse(combined)
    for model in (*wanted["models"], *found["models"]):
        model.pop("core_places", None)
    assert found["models"] == wanted["models"]
    assert found["infos"] == wanted["infos"]


def refusal(*nefs: Nef) -> str:
    with pytest.raises(ModelbuildError) as caught:
        combine(nefs, [f"{chr(97 + index)}.nef" for index in range(len(nefs))])
    assert caught.value.exit_code == 2
    assert caught.value.problems[0].advice or not nefs
    return str(caught.value)


def test_what_cannot_be_combined_is_refused_with_the_reason() -> None:
    one = single("720", "flatbuffer", 0x80000000, 0)
    assert "no NEF is named" in refusal()
    other = single("530", "flatbuffer", 0x80000000, 1)
    assert "different chips" in refusal(one, other) and "b.nef: kl530" in refusal(one, other)
    legacy = single("720", "legacy720", 0x80000000, 1)
    assert "different container generations" in refusal(one, legacy)
    assert "b.nef: legacy (toolchains before 0.20)" in refusal(one, legacy)
    assert "two models have the id 32768" in refusal(one, one)
    assert "a.nef and b.nef" in refusal(one, one)
    header = replace(one.file.header, encryption_mode=1)
    secret = nef.read(nef.write(replace(one, file=replace(one.file, header=header))))
    assert "encrypted" in refusal(one, replace(secret, checksums=()))


def test_one_file_stays_as_it_is() -> None:
    one = single("720", "flatbuffer", 0x80000000, 0)
    assert combine([one]) is one
