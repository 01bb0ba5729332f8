"""No decoder of the server fails on mutated requests, within the runs that a test has time for."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from ..messages import LENGTH_BYTES, binary_inputs, columns, inputs, question, stream, windows, with_bytes

TESTS = Path(__file__).parents[2]
RUNS = 5_000


def infer_seeds() -> list[bytes]:
    none = b"\xff" * LENGTH_BYTES
    described, raw = binary_inputs(windows(2), [0, 2])
    body, length = with_bytes({"id": "a", "inputs": described, "outputs": [{"name": "score"}]}, raw)
    name = {"name": "unit", "shape": [1], "datatype": "BYTES", "parameters": {"binary_data_size": 5}}
    named, named_length = with_bytes({"inputs": [inputs(windows(1), [0])[0], name]}, b"\x01\x00\x00\x00x")
    return [
        none + json.dumps({"inputs": inputs(windows(1), [0])}).encode(),
        none + json.dumps({"inputs": inputs(windows(1), [0], nested=True), "parameters": {}}).encode(),
        int(length).to_bytes(LENGTH_BYTES, "little") + body,
        int(named_length).to_bytes(LENGTH_BYTES, "little") + named,
    ]


def predict_seeds() -> list[bytes]:
    return [json.dumps(question(**more)).encode() for more in ({}, {"timestamp": "2026-05-31T23:59:59.5+02:00"})]


def batch_seeds() -> list[bytes]:
    kinds: list[Any] = [pa.utf8(), pa.string_view(), pa.large_utf8(), pa.dictionary(pa.int8(), pa.utf8())]
    times = {"timestamp": pa.array(range(10), pa.timestamp("s", "UTC"))}
    return [stream(columns() | {"unit": pa.array(columns()["unit"], kind)} | times, chunk=6) for kind in kinds]


def fuzz(target: str, seeds: list[bytes], folder: Path, *, runs: int = RUNS) -> "subprocess.CompletedProcess[str]":
    corpus = folder / "corpus"
    corpus.mkdir()
    for number, seed in enumerate(seeds):
        (corpus / str(number)).write_bytes(seed)
    options = [f"-runs={runs}", "-seed=1", "-max_len=8192", "-rss_limit_mb=2048", f"-artifact_prefix={folder}/"]
    return subprocess.run(
        [sys.executable, "-m", "serving.fuzz.harness", target, str(corpus), *options],
        env=dict(os.environ) | {"PYTHONPATH": str(TESTS)},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("target", "seeds"), [("openinference", infer_seeds()), ("question", predict_seeds()), ("table", batch_seeds())]
)
def test_mutated_requests_are_answered_or_refused(target: str, seeds: list[bytes], tmp_path: Path):
    done = fuzz(target, seeds, tmp_path)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    assert f"Done {RUNS} runs" in done.stderr


def test_a_decoder_that_fails_is_noticed(tmp_path: Path):
    done = fuzz("faulty", [b"hello!"], tmp_path)
    assert done.returncode != 0
    assert "AssertionError" in done.stdout + done.stderr
