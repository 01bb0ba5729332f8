"""The one ONNX session that every peer runs: the same file with the same options."""

import os

import numpy as np
import onnxruntime

STEPS, COLUMNS = 64, 38
WINDOW_BYTES = 4 * STEPS * COLUMNS


class Model:
    """The graph that MODEL names."""

    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(os.environ["MODEL"], options, providers=["CPUExecutionProvider"])
        self._run = session.run

    def score(self, windows: np.ndarray, units: np.ndarray) -> np.ndarray:
        """(batch, 64, 38) float32 and (batch,) int64 to (batch,) float32."""
        return self._run(["score"], {"window": windows, "unit": units})[0]

    def score_lists(self, windows: list, units: list) -> list[float]:
        """The same for what a JSON parser gives."""
        return self.score(np.asarray(windows, np.float32), np.asarray(units, np.int64)).tolist()

    def score_bytes(self, body: bytes) -> list[float]:
        """The same for the bytes of all windows, then those of all units."""
        count = len(body) // (WINDOW_BYTES + 8)
        windows = np.frombuffer(body, np.float32, count * STEPS * COLUMNS).reshape(count, STEPS, COLUMNS)
        return self.score(windows, np.frombuffer(body, np.int64, count, count * WINDOW_BYTES)).tolist()
