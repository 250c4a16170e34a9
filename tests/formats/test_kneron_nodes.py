"""Kneron's table of nodes: its columns, and what stands where nothing is counted."""

from __future__ import annotations

import csv

from modelbuild.formats.kneron_nodes import BEGINNING, Counts, NodeLine, node_table

COUNTS = Counts(
    command=3,
    bits_in=8,
    bits_out="8:a \\ 16:b",
    bits_weight=None,
    mac_cycles=1234,
    mac_ms=0.125,
    read_ms=0.25,
    read_bytes=4096,
    write_ms=0.5,
    write_bytes=2048,
    weight_bytes=99,
    cfunc_ms=0.125,
    pfunc_ms=0.0625,
    runtime_ms=0.9375,
    sync_ms=0.75,
    format_in="4W4C8B:a,c \\ 1W16C8B:b",
    format_out="1W16C8B",
)
LINES = (
    NodeLine("conv", ("conv2d_1",), "NPU", "npu_fusion_node_conv_relu", COUNTS),
    NodeLine("relu", ("leaky", "re_lu"), "FUSED", "npu_fusion_node_conv_relu"),
    NodeLine("up", ("up",), "CPU", "cpu_fusion_node_up"),
)


def test_the_oldest_chip_has_the_first_columns() -> None:
    assert node_table(LINES, counted=False).splitlines() == [
        ",node,node origin,type,node backend",
        "1,conv,conv2d_1,NPU,npu_fusion_node_conv_relu",
        "2,relu,leaky re_lu,FUSED,npu_fusion_node_conv_relu",
        "3,up,up,CPU,cpu_fusion_node_up",
    ]


def test_the_others_count_what_the_npu_does() -> None:
    text = node_table(LINES, counted=True)
    assert text.encode().startswith(BEGINNING)
    conv, relu, up = csv.DictReader(text.splitlines())
    assert {name: conv[name] for name in conv if name not in ("", "node", "node origin")} == {
        "type": "NPU",
        "node backend": "npu_fusion_node_conv_relu",
        "CMD_node_idx": "3",
        "bw in": "8",
        "bw out": "8:a \\ 16:b",
        "bw weight": "N/A",
        "MAC_cycle": "1234",
        "MAC_runtime(ms)": "0.125",
        "RDMA_runtime(ms)": "0.25",
        "RDMA_amount(Byte)": "4096",
        "WDMA_runtime(ms)": "0.5",
        "WDMA_amount(Byte)": "2048",
        "Weight_amount(Byte)": "99",
        "CFUNC_runtime(ms)": "0.125",
        "PFUNC_runtime(ms)": "0.0625",
        "runtime(ms)": "0.9375",
        "SYNC_runtime(ms)": "0.75",
        "in_fmt": "4W4C8B:a,c \\ 1W16C8B:b",
        "out_fmt": "1W16C8B",
    }
    for row in (relu, up):
        assert set(list(row.values())[5:]) == {"N/A"}
