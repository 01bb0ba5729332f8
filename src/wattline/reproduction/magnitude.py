"""By how much two files differ: tensors, rows and columns, values by their path; else in size."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import onnx

SHOWN = 5
LONGEST = 60
ABSENT = "absent"

Tensors = Mapping[str, NDArray[Any]]


def describe(registered: Path, found: Path, *, kind: str) -> tuple[str, ...]:
    """Sentences on how `found` differs from `registered`.

    kind: suffix of the file's name, which an object in a cache does not have
    """
    compare = KINDS.get(kind, sizes)
    try:
        return compare(registered, found)
    except Exception as error:  # whatever a library says of a file that is not what its name promises
        return (f"it cannot be read as {kind}: {type(error).__name__}", *sizes(registered, found))


def sizes(registered: Path, found: Path) -> tuple[str, ...]:
    """Both sizes [bytes]."""
    return (f"{found.stat().st_size} bytes, registered were {registered.stat().st_size}",)


def reports(registered: Path, found: Path) -> tuple[str, ...]:
    """The first values of two JSON files that differ."""
    pair = json.loads(registered.read_bytes()), json.loads(found.read_bytes())
    # Outcomes first: a verdict that turned says more than a figure.
    differences = sorted(json_differences(*pair), key=lambda one: not {one[1], one[2]} & {"true", "false"})
    return sentences(differences) or ("equal values, written differently",)


def sentences(differences: list[tuple[str, str, str]]) -> tuple[str, ...]:
    """The first differences of two JSON values in words, and how many follow."""
    shown = [f"{path} is {found}, registered was {registered}" for path, registered, found in differences[:SHOWN]]
    more = len(differences) - len(shown)
    return (*shown, f"{more} more values differ") if more else tuple(shown)


def json_differences(registered: Any, found: Any, place: str = "") -> Iterator[tuple[str, str, str]]:
    """Path, registered and found value of everything that differs, in the order of the file."""
    if isinstance(registered, dict) and isinstance(found, dict):
        for key in dict.fromkeys([*registered, *found]):
            inner = f"{place}.{key}" if place else str(key)
            if key in registered and key in found:
                yield from json_differences(registered[key], found[key], inner)
            else:
                yield inner, _short(registered.get(key, ...)), _short(found.get(key, ...))
    elif isinstance(registered, list) and isinstance(found, list) and len(registered) == len(found):
        for index, pair in enumerate(zip(registered, found, strict=True)):
            yield from json_differences(*pair, f"{place}.{index}" if place else str(index))
    elif registered != found or type(registered) is not type(found):
        yield place or "all of it", _short(registered), _short(found)


def _short(value: Any) -> str:
    if value is ...:
        return ABSENT
    text = json.dumps(value, default=str)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def weights(registered: Path, found: Path) -> tuple[str, ...]:
    """Tensors of two safetensors files."""
    from safetensors.numpy import load

    return tensors(load(registered.read_bytes()), load(found.read_bytes())) or ("equal tensors, written differently",)


def graphs(registered: Path, found: Path) -> tuple[str, ...]:
    """Constants of two ONNX graphs."""
    import onnx

    one, other = onnx.load(str(registered)), onnx.load(str(found))
    differences = tensors(_constants(one), _constants(other))
    operations = [[node.op_type for node in model.graph.node] for model in (one, other)]
    if operations[0] != operations[1]:
        differences += (
            f"{len(operations[1])} operations, registered were {len(operations[0])}; they are not the same",
        )
    return differences or ("the same constants and operations; attributes, names or metadata differ",)


def _constants(model: "onnx.ModelProto") -> dict[str, NDArray[Any]]:
    from onnx import numpy_helper

    named = [(tensor.name, tensor) for tensor in model.graph.initializer]
    for node in model.graph.node:
        named += [(node.output[0], attribute.t) for attribute in node.attribute if attribute.HasField("t")]
    return {name: numpy_helper.to_array(tensor) for name, tensor in named}


def tensors(registered: Tensors, found: Tensors) -> tuple[str, ...]:
    """Which tensors are absent or have another shape, and the largest differences of those that compare."""
    others = [
        f"tensor {name} is {_form(found.get(name))}, registered was {_form(registered.get(name))}"
        for name in sorted(registered.keys() | found.keys())
        if _form(registered.get(name)) != _form(found.get(name))
    ]
    compared = {
        name: difference(registered[name], found[name])
        for name in sorted(registered.keys() & found.keys())
        if _form(registered[name]) == _form(found[name])
    }
    differing = {name: value for name, value in compared.items() if value[0]}
    return (*others[:SHOWN], *_largest(differing, len(compared)))


def _largest(differing: Mapping[str, tuple[int, float, float]], of: int) -> tuple[str, ...]:
    if not differing:
        return ()
    absolute = max(differing, key=lambda name: differing[name][1])
    relative = max(differing, key=lambda name: differing[name][2])
    return (
        f"{len(differing)} of {of} tensors differ: largest absolute difference {differing[absolute][1]:.3g} "
        f"in {absolute}, largest relative difference {differing[relative][2]:.3g} in {relative}",
    )


def _form(tensor: NDArray[Any] | None) -> str:
    return ABSENT if tensor is None else f"{tensor.dtype} {tensor.shape}"


def difference(registered: NDArray[Any], found: NDArray[Any]) -> tuple[int, float, float]:
    """How many elements differ, the largest |found - registered|, and the largest of it relative to |registered|.

    NaN equals NaN; beside a number it counts as infinitely far, and so do texts that differ.
    """
    if registered.dtype.kind in "OSU":
        count = int((registered != found).sum())
        return count, np.inf if count else 0.0, np.inf if count else 0.0
    changed = registered != found
    if registered.dtype.kind == "f":
        changed &= ~(np.isnan(registered) & np.isnan(found))
    if not changed.any():
        return 0, 0.0, 0.0
    # A timestamp counts in its own unit; wide floats hold every integer of 64 bits.
    one, other = (
        (array.astype(np.int64) if array.dtype.kind in "mM" else array)[changed].astype(np.longdouble)
        for array in (registered, found)
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        absolute = np.nan_to_num(np.abs(other - one), nan=np.inf, posinf=np.inf)
        relative = np.nan_to_num(absolute / np.abs(one), nan=np.inf, posinf=np.inf)
    return int(changed.sum()), float(absolute.max()), float(relative.max())


def tables(registered: Path, found: Path) -> tuple[str, ...]:
    """Rows and columns of two Parquet files."""
    from pyarrow import parquet

    # Opened here, since an object in a cache may lie in a folder that looks like a partition.
    with registered.open("rb") as one, found.open("rb") as other:
        pair = parquet.read_table(one), parquet.read_table(other)
    names = [table.column_names for table in pair]
    if names[0] != names[1]:
        return (f"columns are {', '.join(names[1])}, registered were {', '.join(names[0])}",)
    if pair[0].num_rows != pair[1].num_rows:
        return (f"{pair[1].num_rows} rows, registered were {pair[0].num_rows}",)
    columns = {name: tuple(table[name].to_numpy() for table in pair) for name in names[0]}
    return _columns(columns, pair[0].num_rows) or ("equal rows, written differently",)


def _columns(columns: Mapping[str, tuple[NDArray[Any], ...]], rows: int) -> tuple[str, ...]:
    compared = {name: difference(*pair) for name, pair in columns.items()}
    differing = sorted((name for name in compared if compared[name][0]), key=lambda name: -compared[name][1])
    shown = tuple(
        f"column {name}: {compared[name][0]} of {rows} rows differ, at most by {compared[name][1]:.3g}"
        for name in differing[:SHOWN]
    )
    more = len(differing) - len(shown)
    return (*shown, f"{more} more columns differ") if more else shown


KINDS: Mapping[str, Callable[[Path, Path], tuple[str, ...]]] = {
    ".json": reports,
    ".onnx": graphs,
    ".parquet": tables,
    ".safetensors": weights,
}
