"""Why operators are refused, in words that hold in every format."""

CONTROL_FLOW = "its path is chosen while it runs; an NPU program is one fixed sequence"
RANDOM = "its result changes from run to run"
