""".sima: nodes by kind, arrays, quantization; what is not known stays unknown."""

from __future__ import annotations

import io

import numpy as np
import pytest
import yaml

from modelbuild.errors import ModelbuildError
from modelbuild.formats import sima, zip_archive
from modelbuild.formats.parts import covered
from tests.formats import archive_sources
from tests.formats.archive_sources import ARRAYS, NODES, npz, zipped


def failed(data: bytes) -> dict[str, str]:
    return {check.what: check.why for check in sima.read(data).checks if not check.ok}


def test_nodes_of_the_network_and_of_its_subgraphs() -> None:
    found = sima.read(archive_sources.sima())
    assert [(node.path, node.name, node.kind) for node in found.nodes] == [
        ((), "quantize_0", "quantize"),
        ((), "MLA_0", "subgraph"),
        (("MLA_0",), "conv_1", "conv"),
        ((), "odd", ""),
    ]
    assert found.nodes[0].channel_params == ((255.0, -128),)
    conv = found.nodes[2]
    assert (conv.scale, conv.zero_point, conv.per_channel, conv.inputs) == (2.5, 1, True, ("placeholder_0",))
    assert conv.arrays == {"quant.requant.shift": "shift", "quant.weight_quant_data": "weights"}
    assert found.is_quantized
    assert (found.keys, found.others) == (("name", "nodes"), ("a mapping of version",))


def test_arrays_are_described_from_their_headers() -> None:
    found = sima.read(archive_sources.sima())
    assert {array.name: (array.dtype, array.shape, array.size) for array in found.arrays} == {
        name: (str(array.dtype), array.shape, array.nbytes) for name, array in ARRAYS.items()
    }
    assert all(check.ok for check in found.checks) and all(item.ok for item in found.checksums)


def test_every_byte_is_a_part() -> None:
    data = archive_sources.sima()
    assert all(part.known for part in covered(sima.read(data).parts, len(data)))


def test_a_float_model_has_no_scales() -> None:
    found = sima.read(archive_sources.sima(text=b"- nodes: [{name: a, ir: {op: conv}}]"))
    assert not found.is_quantized and found.nodes[0].kind == "conv"


def test_documents_may_be_a_stream_or_one() -> None:
    for text in (b"version: 1\n---\nnodes: [{ir: {op: x}}]\n", b"nodes: [{ir: {op: x}}]\n"):
        assert [node.kind for node in sima.read(archive_sources.sima(text=text)).nodes] == ["x"]


def test_compressed_arrays_are_read() -> None:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, a=np.zeros((100, 100), np.int16))
    [array] = sima.read(archive_sources.sima(arrays=buffer.getvalue())).arrays
    assert (array.dtype, array.size) == ("int16", 20_000)


def test_nothing_is_unpickled_or_built() -> None:
    pickled = npz({"evil": np.array([print], object)})
    found = sima.read(archive_sources.sima(b"- !!python/object/apply:os.system [ls]\n- nodes: []\n", pickled))
    assert found.arrays[0].dtype == "objects (pickled, not opened)"
    assert found.tags == {"tag:yaml.org,2002:python/object/apply:os.system": 1}


@pytest.mark.parametrize(
    ("data", "what", "why"),
    [
        (archive_sources.sima(text=b"[1, 2]"), "network", "has a list `nodes`"),
        (archive_sources.sima(text=b"{a: 1, a: 2}"), "network", "comes twice"),
        (archive_sources.sima(text=b"\xff"), "network", "decode"),
        (zipped({"a.yaml": b"", "b.yaml": b"", "c.npz": npz()}), "network", "2 .yaml, not one"),
        (archive_sources.sima(arrays=b"none"), "arrays", "ZIP is damaged"),
        (archive_sources.sima(arrays=zipped({"a.npy": b"none"})), "arrays", "a.npy"),
        (archive_sources.sima(arrays=zipped({"a.npy": npz()})), "arrays", "a.npy"),
        (zipped({"../a.yaml": archive_sources.sima_yaml(), "c.npz": npz()}), "folder", "leaves its folder"),
    ],
)
def test_what_cannot_be_read_is_told_and_the_rest_shown(data: bytes, what: str, why: str) -> None:
    found = failed(data)
    assert any(what in check and why in told for check, told in found.items()), found


def test_a_network_may_have_many_arrays() -> None:
    head = npz({"a": np.zeros(1, np.int8)})
    [entry] = zip_archive.survey(head).members
    one = zip_archive.survey(head).content(entry)
    found = sima.read(archive_sources.sima(arrays=zipped({f"{n}.npy": one for n in range(3000)}, 0)))
    assert len(found.arrays) == 3000 and all(check.ok for check in found.checks)


def test_an_array_of_another_size_than_its_header_says_is_told() -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(10, np.int32))
    data = archive_sources.sima(arrays=zipped({"a.npy": buffer.getvalue()[:-4]}))
    assert list(failed(data).values()) == ["a.npy has 36 bytes of values, its header 40"]


def test_the_members_tell_a_sima() -> None:
    assert sima.is_sima(["net.yaml", "net.npz"]) and not sima.is_sima(["net.yaml"])
    with pytest.raises(ModelbuildError):
        sima.read(b"no zip")


def test_shared_nodes_are_gone_through_without_end() -> None:
    text = yaml.dump([{"nodes": [NODES[1], NODES[1]]}]).encode()
    assert b"*id" in text
    assert [node.name for node in sima.read(archive_sources.sima(text=text)).nodes] == ["MLA_0", "conv_1"] * 2
