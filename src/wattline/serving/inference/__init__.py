"""The graph at work: its files, sessions of ONNX Runtime on them, and the answers it must give. The same everywhere."""

from wattline.settings import silence_telemetry

# Before ONNX Runtime is imported, which reads at its import whether it may name this machine and call home.
silence_telemetry()
