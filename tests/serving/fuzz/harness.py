"""Feeds one decoder with mutated requests. Anything but a result of the right shape, or a refusal, is a crash.

PYTHONPATH=tests python -m serving.fuzz.harness TARGET CORPUS [options of libFuzzer, such as -runs=100000]
"""

import contextlib
import sys

import atheris
import numpy as np

with atheris.instrument_imports(include=["wattline.serving"]):
    from wattline.serving.protocol import openinference, question, table
    from wattline.serving.refusal import RefusedError

from serving.messages import (
    FUTURE_SECONDS,
    LENGTH_BYTES,
    MOST_WINDOWS,
    NAMES,
    NOW,
    SIGNATURE,
    STEPS,
    check_inference,
    check_same,
)


def infer(data: bytes) -> None:
    length = int.from_bytes(data[:LENGTH_BYTES], "little")
    header_length = None if length == 256**LENGTH_BYTES - 1 else str(length)
    if header_length is None:
        check_same(data[LENGTH_BYTES:])
    check_inference(
        openinference.decode(
            data[LENGTH_BYTES:], header_length=header_length, signature=SIGNATURE, maximum_windows=MOST_WINDOWS
        )
    )


def predict(data: bytes) -> None:
    for extra_columns in ("refuse", "ignore"):
        asked = question.parse(data, SIGNATURE, extra_columns=extra_columns, now=NOW, future_seconds=FUTURE_SECONDS)
        assert asked.window.shape == (STEPS, len(NAMES))
        assert asked.window.dtype == np.float32
        assert not np.isinf(asked.window).any()
        assert asked.unit


def batch(data: bytes) -> None:
    rows = table.decode_table(
        data,
        SIGNATURE,
        extra_columns="ignore",
        maximum_windows=MOST_WINDOWS,
        now=NOW,
        future_seconds=FUTURE_SECONDS,
    )
    count = len(rows.numbers)
    assert 1 <= count <= MOST_WINDOWS
    assert rows.windows.shape == (count, STEPS, len(NAMES))
    assert not np.isinf(rows.windows).any()
    assert len(rows.names) == len(rows.units) == count
    table.encode_table(rows, {"score": np.ones(count, np.float32)})


def faulty(data: bytes) -> None:
    """A decoder that fails, to see that this is noticed."""
    assert b"!" not in data


TARGETS = {"openinference": infer, "question": predict, "table": batch, "faulty": faulty}


def main() -> None:
    target = TARGETS[sys.argv[1]]

    def once(data: bytes) -> None:
        with contextlib.suppress(RefusedError):
            target(data)

    atheris.Setup([sys.argv[0], *sys.argv[2:]], once)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
