"""The model that every server runs: a small convolutional autoencoder as one ONNX graph, untrained but real."""

import hashlib
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper, parser

from servers.questions import COLUMNS, NAME, STEPS, UNITS, questions
from wattline import files, graph
from wattline.records import Column
from wattline.serving.inference import golden
from wattline.serving.inference.engine import Engine

TESTS = Path(__file__).parents[2] / "tests"


@dataclass(frozen=True)
class Kind:
    """One of the graphs.

    passes: how often a window goes through the network
    """

    version: str
    passes: int


# The second one answers differently, so that a swap shows. The slow one takes milliseconds for a window, so that ten
# times what a server can do with it is a load that one client can offer.
KINDS = {"first": Kind("1", 1), "second": Kind("2", 1), "slow": Kind("3", 64)}
CHANNELS = 32

# Missing values are replaced by the unit's center and do not count. A batch normalization after a convolution would be
# a part of the convolution here, as exporters fold it.
BEGIN = """
<ir_version: 10, opset_import: ["" : 20]>
wattline (float[batch, {steps}, {columns}] window, int64[batch] unit)
    => (float[batch] score, float[batch] threshold, float[batch, {columns}] contribution)
{{
    below = Less(unit, units)
    above = GreaterOrEqual(unit, first)
    known = And(below, above)
    place = Where(known, unit, units)
    center = Gather(centers, place)
    scale = Gather(scales, place)
    threshold = Gather(limits, place)
    difference = Sub(window, center)
    scaled = Div(difference, scale)
    missing = IsNaN(scaled)
    clean = Where(missing, zero, scaled)
    present = Where(missing, zero, one)
    turned_0 = Transpose<perm = [0, 2, 1]>(clean)
"""
PASS = """
    a_{this} = Conv<pads = [2, 2]>(turned_{this}, w1, b1)
    b_{this} = Gelu(a_{this})
    c_{this} = Conv<pads = [2, 2], strides = [2]>(b_{this}, w2, b2)
    d_{this} = Gelu(c_{this})
    e_{this} = Conv<pads = [2, 2], strides = [2]>(d_{this}, w3, b3)
    f_{this} = Gelu(e_{this})
    g_{this} = ConvTranspose<pads = [1, 1], strides = [2]>(f_{this}, w4, b4)
    h_{this} = Gelu(g_{this})
    i_{this} = ConvTranspose<pads = [1, 1], strides = [2]>(h_{this}, w5, b5)
    j_{this} = Gelu(i_{this})
    turned_{next} = Conv<pads = [2, 2]>(j_{this}, w6, b6)
"""
END = """
    rebuilt = Transpose<perm = [0, 2, 1]>(turned_{passes})
    deviation = Sub(rebuilt, clean)
    square = Mul(deviation, deviation)
    error = Mul(square, present)
    errors = ReduceSum<keepdims = 0>(error, all)
    count = ReduceSum<keepdims = 0>(present, all)
    counted = Max(count, one)
    score = Div(errors, counted)
    column_errors = ReduceSum<keepdims = 0>(error, time)
    column_count = ReduceSum<keepdims = 0>(present, time)
    column_counted = Max(column_count, one)
    contribution = Div(column_errors, column_counted)
}}
"""


def prepare(cache: Path) -> dict[str, Path]:
    """Name of a kind -> folder with what `wattline champion` would leave of it; made once for each state of this file.

    The public key that each was signed with is `public.pem` beside the folders.
    """
    state = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]
    home = cache / "models" / state
    if not home.is_dir():
        with files.replace_directory(home) as fresh:
            write(fresh)
    return {name: home / name for name in KINDS}


def write(home: Path) -> None:
    """Write every kind as a signed version."""
    sys.path.append(str(TESTS))
    import builders

    declared = builders.signature([Column(name=f"metric_{at:02}", unit="1") for at in range(COLUMNS)], steps=STEPS)
    key = builders.signing_key()
    (home / "public.pem").write_bytes(key.public.pem())
    for name, kind in KINDS.items():
        made = model(kind)
        folder = home / name
        files.write_bytes(folder / "model.onnx", graph.canonical(made.SerializeToString()))
        engine = Engine.of(folder / "model.onnx", declared)
        files.write_bytes(folder / "golden.json", golden.make(engine, *questions(1, 2)[0]))
        builders.write_served(folder, key, version=kind.version, name=NAME, model=made, declared=declared)


def model(kind: Kind) -> onnx.ModelProto:
    """The graph with random weights."""
    passes = [PASS.format(this=number, next=number + 1) for number in range(kind.passes)]
    text = [BEGIN.format(steps=STEPS, columns=COLUMNS), *passes, END.format(passes=kind.passes)]
    made = parser.parse_model("".join(text))
    arrays = weights(kind) | constants(kind)
    made.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in arrays.items())
    onnx.checker.check_model(made, full_check=True)
    return onnx.load_from_string(graph.canonical(made.SerializeToString()))


def weights(kind: Kind) -> dict[str, np.ndarray]:
    """Of six convolutions; those of the transposed ones have their input channels first."""
    generator = np.random.default_rng(int(kind.version))
    wide, narrow = CHANNELS, CHANNELS // 2
    layers = {1: (wide, COLUMNS, 5), 2: (wide, wide, 5), 3: (narrow, wide, 5), 4: (narrow, wide, 4), 5: (wide, wide, 4)}
    arrays = {}
    for number, shape in (layers | {6: (COLUMNS, wide, 5)}).items():
        transposed = number in (4, 5)
        outputs, inputs = shape[1::-1] if transposed else shape[:2]
        spread = (inputs * shape[2]) ** -0.5
        arrays[f"w{number}"] = generator.uniform(-spread, spread, shape).astype(np.float32)
        arrays[f"b{number}"] = generator.uniform(-spread, spread, outputs).astype(np.float32)
    return arrays


def constants(kind: Kind) -> dict[str, np.ndarray]:
    """Of the scaling, a row for each unit and one for all others; and of the arithmetic."""
    generator = np.random.default_rng(100 + int(kind.version))
    shape = (UNITS + 1, 1, COLUMNS)
    return {
        "centers": generator.uniform(0, 50, shape).astype(np.float32),
        "scales": generator.uniform(1, 5, shape).astype(np.float32),
        "limits": generator.uniform(2, 3, UNITS + 1).astype(np.float32),
        "units": np.array(UNITS, np.int64),
        "first": np.array(0, np.int64),
        "zero": np.array(0, np.float32),
        "one": np.array(1, np.float32),
        "all": np.array([1, 2], np.int64),
        "time": np.array([1], np.int64),
    }
