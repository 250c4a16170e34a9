"""Every version of kmodel: made-up files, and real ones where they are."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from modelbuild.errors import ModelbuildError
from modelbuild.formats import kmodel
from modelbuild.formats.kmodel.model import Kmodel, Tensor, Unknown
from modelbuild.formats.parts import Part
from tests.formats import kmodel_sources as sources

REAL = {
    "v3_face_detect": (3, "k210", 24, 0),
    "v4_mobilenet_025": (4, "k210", 35, 0),
    "v5_mnist_cpu": (5, "cpu", 0, 1),
    "v5_small_k210": (5, "k210", 0, 2),
    "v6_face_detection_320": (6, "k230", 0, 2),
    "v7_face_detection_320": (7, "k230", 0, 2),
}


def unknown_parts(found: Kmodel) -> list[Part]:
    """The parts that nobody knows, after every byte was found to have exactly one part."""
    places = sorted((part.offset, part.size) for part in found.parts)
    end = 0
    for offset, size in places:
        assert offset == end
        end += size
    assert end == len(found.data)
    return [part for part in found.parts if not part.known]


@pytest.mark.parametrize("name", REAL)
def test_real_files_are_read_to_the_last_byte(name: str, shared_data: Path) -> None:
    data = (shared_data / f"artifacts/kmodel/{name}.kmodel").read_bytes()
    assert kmodel.is_kmodel(data)
    found = kmodel.read(data)
    assert (found.version, found.target, len(found.layers), len(found.modules)) == REAL[name]
    assert found.unread == 0 and unknown_parts(found) == []
    assert [check.what for check in found.checks if check.why] == []


@pytest.mark.parametrize("name", sources.ALL)
def test_every_byte_of_made_up_files_has_one_part(name: str) -> None:
    found = kmodel.read(sources.ALL[name]())
    unknown = {"3": ["layer 4, quantized_fully_connected"], "4": ["node 5, 119"]}.get(name, [])
    assert [part.what.split(":")[0] for part in unknown_parts(found)] == unknown
    assert [check.what for check in found.checks if check.why] == []
    assert found.unknown == () and found.unread == 0


@pytest.mark.parametrize("name", [name for name in sources.ALL if name[0] in "567"])
@pytest.mark.parametrize("alignment", [0, 3, 7, 1 << 31])
def test_an_alignment_that_cannot_be_is_told(name: str, alignment: int) -> None:
    data = bytearray(sources.ALL[name]())
    place = 12 if "development" in name or name[0] in "67" else 16
    before = kmodel.read(bytes(data)).alignment
    assert struct.unpack_from("<I", data, place) == (before,)
    struct.pack_into("<I", data, place, alignment)
    found = kmodel.read(bytes(data))
    assert [(check.what, check.why) for check in found.checks if not check.ok] == [
        ("the alignment is a power of two within the file", f"it is {alignment}")
    ]


@pytest.mark.parametrize(
    ("size", "what", "where"),
    [
        (10, "a header has 28 bytes, and there are 10", 0),
        (40, "the list of 5 layers ends past its 40 bytes", 36),
        (300, "layer 0 of 5, of ", 76),
    ],
)
def test_a_file_of_version_3_that_lost_its_end_tells_where(size: int, what: str, where: int) -> None:
    data = sources.version3()[:size]
    assert not kmodel.is_kmodel(data)
    with pytest.raises(ModelbuildError) as caught:
        kmodel.read(data)
    assert what in caught.value.problems[0].what
    assert caught.value.problems[0].where == f"offset 0x{where:x}"


def test_version_3() -> None:
    found = kmodel.read(sources.version3())
    assert [layer.name for layer in found.layers] == [
        "k210_conv",
        "dequantize",
        "concat",
        "fully_connected",
        "quantized_fully_connected",
    ]
    assert found.inputs == (Tensor("uint8", (1, 3, 16, 16), "kpu", 0, 768),)
    assert found.outputs == (Tensor("float32", None, "main", 0, 8),)
    assert found.layers[1].values["quant_param"] == {"scale": 0.5, "bias": -1.0}
    assert found.layers[2].shown["inputs"] == [{"start": 0, "size": 16}, {"start": 32, "size": 8}]
    assert found.layers[3].shown["act"] == "relu"
    convolution = found.layers[0].convolution
    assert convolution is not None
    assert (convolution.weights.size, convolution.batch_norm.size, convolution.activation.size) == (
        108,
        32,
        144,
    )
    whats = [part.what for part in found.parts if part.offset < found.layers[1].offset][3:]
    assert whats == [
        "layer 0, k210_conv: fields",
        "padding",
        "layer 0, k210_conv: registers",
        "padding",
        "layer 0, k210_conv: weights",
        "layer 0, k210_conv: batch normalization",
        "layer 0, k210_conv: activation",
        "padding",
    ]


def test_without_the_flag_of_8_bits_weights_have_two_bytes_and_limits_are_not_checked() -> None:
    data = bytearray(sources.version3())
    data[4] = 0
    found = kmodel.read(bytes(data))
    convolution = found.layers[0].convolution
    assert convolution is not None and (convolution.eight_bit, convolution.weights.size) == (False, 216)
    registers = data.index(sources.registers(3, 4, 16, 16))
    data[registers + 4 * 8] |= 0xF0
    assert kmodel.read(bytes(data)).checks[0].why == ""
    data[4] = 1
    assert kmodel.read(bytes(data)).checks[0].why == "layer 0: pool 15 is none of 0 to 9"


def test_version_3_may_end_before_its_padding_and_have_bytes_behind() -> None:
    whole = sources.version3()
    assert [layer.size for layer in kmodel.read(sources.version3(cut=7)).layers][-1] == 25
    assert not kmodel.is_kmodel(sources.version3(cut=8))
    found = kmodel.read(sources.version3(trailing=bytes(4096)))
    assert (found.unread, found.parts[-1]) == (4096, Part(len(whole), 4096, "padding"))
    found = kmodel.read(sources.version3(trailing=b"\xff" * 64))
    assert unknown_parts(found)[-1] == Part(len(whole), 64, "unknown", known=False)


def test_without_magic_only_sizes_that_add_up_are_a_kmodel() -> None:
    data = sources.version3()
    assert kmodel.is_kmodel(data)
    for place, value in ((0, 2), (8, 1), (12, 0), (12, 5000), (24, 0), (40, 1 << 30)):
        changed = bytearray(data)
        struct.pack_into("<I", changed, place, value)
        assert not kmodel.is_kmodel(bytes(changed))
    # With a layer of a kind that nobody knows, little may follow the last one.
    changed = bytearray(data)
    struct.pack_into("<I", changed, 36, 77)
    assert kmodel.is_kmodel(bytes(changed) + bytes(64))
    assert not kmodel.is_kmodel(bytes(changed) + bytes(65))


def test_version_4() -> None:
    found = kmodel.read(sources.version4())
    assert [layer.name for layer in found.layers] == [
        "kpu_upload",
        "kpu_conv2d",
        "dequantize",
        "concat",
        "conv2d",
        "unknown (119)",
    ]
    assert (found.target, found.main_memory, found.constants) == ("k210", 65536, 8)
    assert found.inputs == (Tensor("uint8", (1, 3, 16, 16), "kpu", 0, 3072),)
    assert found.outputs == (Tensor("float32", None, "main", 0, 4096),)
    assert found.layers[2].shown["quant_param"] == {"zero_point": 3, "scale": 0.25}
    assert found.layers[3].shown["dims"] == [{"size": 1}, {"size": 2}]
    convolution = found.layers[1].convolution
    assert convolution is not None
    assert [span.offset % 256 for span in (convolution.batch_norm, convolution.activation)] == [0, 0]
    assert convolution.weights.offset % 256 == 0
    assert convolution.weights.size == 108
    # The weights of a layer of the CPU are floats: 3 from 2 channels, 3x3.
    weights = found.layers[4].shown["weights"]
    assert isinstance(weights, dict) and weights["size"] == 4 * 3 * 2 * 9


def test_version_4_with_bytes_behind() -> None:
    assert kmodel.read(sources.version4(trailing=bytes(16))).unread == 16
    with pytest.raises(ModelbuildError, match="body of node 5 ends at"):
        kmodel.read(sources.version4()[:-8])
    assert kmodel.read(sources.version4()[:-7]).layers[-1].size == 25


@pytest.mark.parametrize("name", ["5 release", "5 development"])
def test_version_5(name: str) -> None:
    found = kmodel.read(sources.ALL[name]())
    assert (found.layout, found.target, found.alignment) == (name.split()[1], "k210", 256)
    assert found.entry == (0, 0)
    assert [(tensor.dtype, tensor.shape, tensor.memory) for tensor in (*found.inputs, *found.outputs)] == [
        ("float32", (1, 3, 16, 16), "input"),
        ("float32", (1, 3, 16, 16), "output"),
    ]
    stack, kpu = found.modules
    assert (stack.kind, kpu.kind) == ("stackvm", "k210")
    assert {pool.location: pool.size for pool in kpu.mempools}["kpu"] == 2 << 20
    assert [section.name for section in kpu.sections] == [".rdata", ".text"]
    assert [section.body.offset % 256 for section in kpu.sections] == [0, 0]
    assert kpu.functions[0].text == 44 + 152 + 44
    assert stack.size + kpu.size + stack.offset == len(found.data)


def test_the_development_layout_counts_modules_without_their_header() -> None:
    data = sources.version5_development()
    found = kmodel.read(data)
    (stored,) = struct.unpack_from("<I", data, found.modules[0].offset + 16)
    assert found.modules[0].size == stored + 40
    assert found.modules[1].offset == found.modules[0].offset + stored + 40


def test_sections_merged_into_rdata_have_no_body_of_their_own() -> None:
    data = bytearray(sources.version5(code=b"\0" * 8))
    place = data.index(b".text")
    struct.pack_into("<3I", data, place + 16, 1, 0, 0)
    stack = kmodel.read(bytes(data)).modules[0]
    rdata, text = stack.sections
    assert text.merged and text.body.offset == rdata.body.offset
    struct.pack_into("<3I", data, place + 16, 1, 0, 8)
    with pytest.raises(ModelbuildError, match=r"merged into \.rdata, but lies outside"):
        kmodel.read(bytes(data))


def test_shared_memory_pools_are_counted_but_may_not_be_there() -> None:
    """The compiler counts them and writes none; a file that has them is read, too."""
    data = bytearray(sources.version5())
    struct.pack_into("<I", data, 32 + 32, 1)
    found = kmodel.read(bytes(data))
    assert found.modules[0].shared_mempools == 1 and found.inputs[0].shape == (1, 3, 16, 16)
    (size,) = struct.unpack_from("<I", data, 32 + 24)
    end = 32 + size
    # Eight bytes more behind the memory pools, eight bytes less of padding before the code's end.
    grown = data[: 32 + 48 + 16] + bytes(8) + data[32 + 48 + 16 : end] + data[end:]
    struct.pack_into("<I", grown, 32 + 24, size + 8)
    found = kmodel.read(bytes(grown))
    assert found.inputs[0].shape == (1, 3, 16, 16)
    assert any(part.what == "module 0, stackvm: shared memory pools" for part in found.parts)


def test_fields_that_nobody_documents_are_shown_raw() -> None:
    data = bytearray(sources.version5())
    struct.pack_into("<I", data, 12, 0x8000)
    struct.pack_into("<I", data, 32 + 44, 7)
    struct.pack_into("<H", data, 128 + 2, 3)
    assert kmodel.read(bytes(data)).unknown == (
        Unknown("flags", 12, 0x8000),
        Unknown("module 0, stackvm: reserved", 76, 7),
        Unknown("module 0, stackvm, function 0: inputs, 0: shared module", 130, 3),
    )


@pytest.mark.parametrize("version", [6, 7])
def test_the_later_versions(version: int) -> None:
    found = kmodel.read(sources.later(version))
    assert (found.version, found.target, found.alignment) == (version, "k230", 4096)
    assert [tensor.type for tensor in found.inputs] == ["uint8[1,3,?,320]", "float32[]"]
    assert [tensor.type for tensor in found.outputs] == ["float32[1,8]", "int64[1]"]
    assert found.inputs[0].shape == (1, 3, None, 320)
    stack, closed = found.modules
    assert [section.name for section in stack.sections] == [".text", ".rdata", ".custom_calls"]
    text = stack.section(".text")
    assert text is not None
    assert found.data[text.body.offset : text.body.end] == b"code" * 5
    assert (text.memory, text.body.offset % 64) == (36, 0)
    assert [section.name for section in closed.functions[0].sections] == [".desc"]


def test_the_way_dimensions_are_written_is_found_out() -> None:
    names = ("7", "7 long dimensions", "7 swapped dimensions")
    found = [kmodel.read(sources.ALL[name]()) for name in names]
    assert [item.layout for item in found] == ["nncase 2.0 to 3.0", "nncase 3.3", "nncase 3.4 and later"]
    assert {tuple(tensor.type for tensor in item.inputs) for item in found} == {
        ("uint8[1,3,?,320]", "float32[]")
    }


def test_a_model_may_have_no_entry() -> None:
    data = bytearray(sources.later(7))
    struct.pack_into("<2I", data, 20, 0xFFFFFFFF, 0xFFFFFFFF)
    found = kmodel.read(bytes(data))
    assert found.entry is None and found.inputs == () and found.checks[0].why == ""
    struct.pack_into("<2I", data, 20, 5, 0)
    assert kmodel.read(bytes(data)).checks[0].why == "there is no function 0 of module 5"
    struct.pack_into("<2I", data, 20, 0, 0xFFFFFFFF)
    assert kmodel.read(bytes(data)).checks[0].why == "there is no function 4294967295 of module 0"


@pytest.mark.parametrize(
    "data", [b"", b"LDMK", b"LDMK\x09\0\0\0", b"LDMK\x05\0\0\0" + bytes(40), b"\x03\0\0\0" + bytes(24)]
)
def test_anything_else_is_refused(data: bytes) -> None:
    with pytest.raises(ModelbuildError, match="kmodel is damaged"):
        kmodel.read(data)


def test_tables_that_overlap_without_bound_are_refused() -> None:
    """A thousand layers that share one table of a megabyte would unfold into a gigabyte."""
    layers = 1000
    first = 36 + 8 * layers
    layer = first + 24 * layers
    body = struct.pack("<6I", 0, 0, layer, layer + 96, layer + 96, layer + 96)
    head = struct.pack("<9I", 3, 1, 0, layers, 0, 0, 1, 0, 0)
    registers = sources.registers(1024, 1024, 4, 4, kernel=0)
    data = head + struct.pack("<2I", 10240, 24) * (layers - 1)
    data += struct.pack("<2I", 10240, 24 + 96 + (1 << 20)) + body * layers + registers + bytes(1 << 20)
    with pytest.raises(ModelbuildError, match="unfold without bound"):
        kmodel.read(data)
