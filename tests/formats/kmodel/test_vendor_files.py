"""Files that the vendor's compiler makes are written again byte for byte, code and tables too."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from modelbuild.formats import kmodel
from modelbuild.formats.kmodel import kpu_geometry, kpu_records, kpu_registers, kpu_tables, stackvm_assembly
from modelbuild.formats.kmodel.image import RDATA, TEXT, Code, Image, Module, linked
from modelbuild.formats.kmodel.kpu_records import KpuConv2d, MemoryRange
from modelbuild.formats.kmodel.model import Span
from tests.formats.kmodel import small_networks
from tests.judges import nncase


def body(module: Module, name: str) -> bytes:
    return next(section.body for section in module.sections if section.name == name)


def again(module: Module) -> Module:
    """The module put together anew from its parts, its code taken apart and packed."""
    text, rdata = body(module, TEXT), body(module, RDATA)
    functions = []
    for function in module.functions:
        code = text[function.entry : function.entry + function.text]
        if module.kind == "k210":
            operations = kpu_records.unpack(code)
            for operation in operations:
                if isinstance(operation, KpuConv2d):
                    check_layer(operation, rdata)
            code = kpu_records.pack(operations)
        else:
            code = stackvm_assembly.assemble(stackvm_assembly.disassemble(code))
        functions.append(Code(function.inputs, function.outputs, code))
    return linked(module.kind, functions, rdata, [(pool.location, pool.size) for pool in module.mempools])


def check_layer(operation: KpuConv2d, rdata: bytes) -> None:
    """Its tables survive, and its registers are those that follow from its sizes."""
    norm, active = span(operation.batch_norm), span(operation.activation)
    packed = kpu_tables.pack_batch_norm(kpu_tables.batch_norm(rdata, norm))
    assert packed == rdata[norm.offset : norm.end]
    packed = kpu_tables.pack_activation(kpu_tables.activation(rdata, active))
    assert packed == rdata[active.offset : active.end]
    layer = operation.layer
    given = ("pad_value", "arg_w", "arg_x", "arg_add", "shr_w", "shr_x")
    assert layer == kpu_geometry.layer(
        (layer.ic, layer.ih, layer.iw),
        layer.oc,
        kernel=kpu_registers.KERNELS[layer.kernel],
        depthwise=bool(layer.depthwise),
        pool=kpu_registers.POOLS[layer.pool],
        src=64 * layer.src_addr,
        dst=64 * layer.dst_addr,
        **{name: getattr(layer, name) for name in given},
    )


def span(place: MemoryRange) -> Span:
    assert place.location == "rdata"
    return Span(place.start, place.size)


def check(data: bytes) -> Image:
    """The image of the file; written as it is, and put together anew, it gives the file."""
    image = kmodel.image_of(kmodel.read(data))
    assert kmodel.write(image) == data
    assert kmodel.write(Image(tuple(map(again, image.modules)), image.entry)) == data
    return image


@pytest.mark.parametrize("name", ["v5_mnist_cpu", "v5_small_k210"])
def test_real_files(name: str, shared_data: Path) -> None:
    check((shared_data / f"artifacts/kmodel/{name}.kmodel").read_bytes())


@pytest.mark.parametrize("case", small_networks.CASES, ids=lambda case: f"{case.target} {case.name}")
def test_files_of_the_compiler(case: small_networks.Case, tmp_path: Path) -> None:
    samples = case.write(tmp_path / "m.onnx")
    quantized = samples if case.target == "k210" else []
    image = check(nncase.compile_onnx(tmp_path / "m.onnx", case.target, samples=quantized))
    assert [module.kind for module in image.modules] == ["stackvm", "k210"][: 1 + len(quantized) // 2]
    if case.name == "interrupted":
        assert [len(module.functions) for module in image.modules] == [1, 3]


@pytest.mark.long
@pytest.mark.parametrize("target", ["cpu", "k210"])
@pytest.mark.parametrize(
    "name",
    [
        "mlperf_resnet8",
        "mlperf_vww_96",
        "mnist-8",
        "nanodet_m_416",
        "squeezenet1.1",
        "st_mobilenet_v2_128_05",
    ],
)
def test_files_of_real_networks(name: str, target: str, shared_data: Path, tmp_path: Path) -> None:
    model = onnx.load(shared_data / f"models/onnx/{name}.onnx")
    constants = {item.name for item in model.graph.initializer}
    (given,) = (item for item in model.graph.input if item.name not in constants)
    for dimension in given.type.tensor_type.shape.dim:
        dimension.dim_value = dimension.dim_value or 1
    onnx.save(model, tmp_path / "m.onnx")
    shape = [dimension.dim_value for dimension in given.type.tensor_type.shape.dim]
    sample = [np.random.default_rng(1).random(shape, dtype=np.float32)]
    check(nncase.compile_onnx(tmp_path / "m.onnx", target, samples=[sample] if target == "k210" else []))
