"""Archives that are no packages, as `inspect` shows them."""

from __future__ import annotations

import hashlib
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from modelbuild.artifacts.inspect import inspect
from modelbuild.artifacts.tree import render
from modelbuild.formats import tar
from tests.formats.archive_sources import ARRAYS, entry, files_tarred, npz, tarred, zipped

FILES = {"readme.txt": b"hello", "b.bin": bytes(600)}


def shown(tmp_path: Path, data: bytes, name: str = "file") -> dict[str, Any]:
    path = tmp_path / name
    path.write_bytes(data)
    found = inspect(path)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert sum(part["size"] for part in found["parts"]) == len(data)
    assert render(found) and found["models"] == [] and found["silicon"] is None
    return found


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (tar.write(FILES), "tar_gz"),
        (files_tarred(FILES), "tar_gz"),
        (files_tarred(FILES, packing="w"), "tar"),
        (zipped(FILES), "zip"),
    ],
)
def test_members_with_sizes_and_digests(data: bytes, kind: str, tmp_path: Path) -> None:
    found = shown(tmp_path, data)
    assert found["format"] == kind
    assert {item["name"]: (item["size"], item["sha256"]) for item in found["members"]} == {
        name: (len(content), hashlib.sha256(content).hexdigest()) for name, content in FILES.items()
    }
    assert all(check["ok"] and check["why"] is None for check in found["checks"])
    assert len(found["checks"]) >= 10
    assert all(item["ok"] for item in found["checksums"])
    assert all(part["known"] for part in found["parts"])


def test_what_breaks_a_rule_is_listed_without_a_digest(tmp_path: Path) -> None:
    link = entry("link", tarfile.SYMTYPE, linkname="/etc/passwd")
    found = shown(tmp_path, tarred(entry("fine", size=3), link, entry("../up", size=3)))
    assert [item["sha256"] is None for item in found["members"]] == [False, True, True]
    assert found["members"][1]["link"] == "/etc/passwd"
    assert sum(not check["ok"] for check in found["checks"]) == 2


def test_ours_is_normalised_and_another_not(tmp_path: Path) -> None:
    assert shown(tmp_path, tar.write(FILES))["normalised"]
    assert not shown(tmp_path, files_tarred(FILES))["normalised"]


def test_arrays_in_a_zip_are_described(tmp_path: Path) -> None:
    found = shown(tmp_path, npz())
    assert [(item["name"], item["dtype"], item["shape"]) for item in found["arrays"]] == [
        (name, str(array.dtype), list(array.shape)) for name, array in ARRAYS.items()
    ]
    found = shown(tmp_path, zipped({"a.npy": b"none"}))
    assert found["arrays"][0]["name"] == "a.npy" and "header" in found["arrays"][0]["unreadable"]


def test_a_sima_without_its_document_is_not_ok(tmp_path: Path) -> None:
    found = shown(tmp_path, zipped(FILES), "net.sima")
    assert found["format"] == "zip"
    assert found["checks"][-1] == {"what": "a .sima holds a .yaml", "ok": False, "why": "there is none in it"}
    assert all(check["ok"] for check in shown(tmp_path, zipped(FILES), "net.zip")["checks"])
