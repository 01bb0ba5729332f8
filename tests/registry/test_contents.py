"""Nothing is published under a false name: no pickle in any disguise, no archive, no link, no graph that needs more."""

import bz2
import gzip
import io
import json
import lzma
import os
import pickle
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import onnx
import pytest
import safetensors.numpy
from builders import scorer, write_candidate, write_record, write_reports
from hypothesis import example, given
from hypothesis import strategies as st
from onnx import TensorProto, helper
from safetensors import SafetensorError

from tests.registry.project import register
from wattline import files
from wattline.errors import InputError
from wattline.registry import contents

NAMES = ("model.onnx", "weights.safetensors", "signature.json", "notes.md")


class Attack:
    """What an unpickler would run."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch attacked",)


def pickled(protocol: int) -> bytes:
    return pickle.dumps(Attack(), protocol=protocol)


def archived(name: str, content: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(name, content)
    return stream.getvalue()


def tarred(mode: Any) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as archive:
        entry = tarfile.TarInfo("model.onnx")
        entry.size = len(pickled(4))
        archive.addfile(entry, io.BytesIO(pickled(4)))
    return stream.getvalue()


def joblibbed(**options: Any) -> bytes:
    stream = io.BytesIO()
    joblib.dump({"weights": np.zeros(9), "attack": Attack()}, stream, **options)
    return stream.getvalue()


def torch_saved(new: bool) -> bytes:
    import torch

    stream = io.BytesIO()
    torch.save({"weights": torch.zeros(3)}, stream, _use_new_zipfile_serialization=new)
    return stream.getvalue()


def numpy_saved() -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.array([Attack()], dtype=object), allow_pickle=True)
    return stream.getvalue()


def graph() -> bytes:
    return bytes(scorer().SerializeToString())


HDF5 = b"\x89HDF\r\n\x1a\n" + bytes(88)
DISGUISES: dict[str, bytes] = {
    **{f"protocol {protocol}": pickled(protocol) for protocol in range(6)},
    "joblib": joblibbed(),
    "joblib zlib": joblibbed(compress=("zlib", 3)),
    "joblib gzip": joblibbed(compress=("gzip", 3)),
    "joblib bz2": joblibbed(compress=("bz2", 3)),
    "joblib xz": joblibbed(compress=("xz", 3)),
    "joblib lzma": joblibbed(compress=("lzma", 3)),
    "gzip": gzip.compress(pickled(4)),
    "gzip of gzip": gzip.compress(gzip.compress(pickled(2))),
    "bzip2": bz2.compress(pickled(4)),
    "xz": lzma.compress(pickled(4)),
    "lzma": lzma.compress(pickled(4), format=lzma.FORMAT_ALONE),
    "zlib": zlib.compress(pickled(4)),
    "zip": archived("data.pkl", pickled(4)),
    "zip of a graph": archived("model.onnx", graph()),
    "zip in zip": archived("inner.zip", archived("data.pkl", pickled(4))),
    "empty zip": b"PK\x05\x06" + bytes(18),
    "tar": tarred("w"),
    "tar.gz": tarred("w:gz"),
    "tar.xz": tarred("w:xz"),
    "torch": torch_saved(new=True),
    "torch of old": torch_saved(new=False),
    "numpy object": numpy_saved(),
    "hdf5": HDF5,
    "hdf5 behind a block of the user": bytes(512) + HDF5,
    "graph with a zip behind": graph() + archived("data.pkl", pickled(4)),
    "text with a zip behind": b"# A card\n" + archived("data.pkl", pickled(0)),
    "smallest that calls": b"(ios\nabort\n.",
    "call before garbage": b"cos\nabort\n)R# A card",
    "protocol 2 without an end": pickled(2)[:-1] + b" and more",
    "pickle with text behind": pickled(0) + b"\n# A card\n",
}


def fill(folder: Path, name: str, content: bytes) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(content)
    return folder


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("disguise", DISGUISES)
def test_a_pickle_or_an_archive_is_refused_under_every_name(tmp_path: Path, name: str, disguise: str):
    with pytest.raises(InputError, match=name):
        contents.check(fill(tmp_path / "candidate", name, DISGUISES[disguise]))


@given(
    value=st.recursive(st.none() | st.integers() | st.text() | st.binary(), st.lists, max_leaves=5),
    protocol=st.integers(0, 5),
    name=st.sampled_from(NAMES),
)
def test_no_pickle_of_anything_passes(
    tmp_path_factory: pytest.TempPathFactory, value: object, protocol: int, name: str
):
    folder = tmp_path_factory.mktemp("candidate")
    with pytest.raises(InputError):
        contents.check(fill(folder, name, pickle.dumps([value], protocol=protocol)))
    shutil.rmtree(folder)


@pytest.mark.parametrize("disguise", ["protocol 0", "protocol 5", "zip", "gzip", "hdf5"])
@pytest.mark.parametrize("name", ["weights.safetensors", "golden.json", "notes.md"])
def test_a_recorded_pickle_is_not_registered(project: Path, name: str, disguise: str):
    (files.CANDIDATE / name).write_bytes(DISGUISES[disguise])
    write_reports(files.REPORTS, write_record(files.CANDIDATE))
    with pytest.raises(InputError, match=name):
        register()
    assert not (project / "attacked").exists()


@pytest.mark.parametrize("name", ["notes.json", "decide2.json"])
def test_a_report_that_is_a_pickle_is_not_registered_either(project: Path, name: str):
    (files.REPORTS / name).write_bytes(pickled(0))
    with pytest.raises(InputError, match=name):
        register()


@pytest.mark.parametrize("name", ["anomaly.pkl", "anomaly.pt"])
def test_a_card_of_another_kind_is_not_registered(project: Path, name: str):
    (files.CARDS / name).write_bytes(b"anything")
    with pytest.raises(InputError, match=name):
        register()


def test_what_the_pipeline_writes_passes(tmp_path: Path):
    write_candidate(tmp_path / "candidate", golden=True)
    (tmp_path / "candidate" / "notes.md").write_text("# Notes\n\nµ, °C and a table | of | cells\r\n", encoding="utf-8")
    contents.check(tmp_path / "candidate")
    contents.check_sources(tmp_path / "candidate")


@given(st.integers(60, 0x600) | st.integers(60, 0x20000).map(lambda length: length & ~7))
@example(0x0180)  # the magic of a pickle, as the length that an example's weights once had
@example(0x0178)  # that of zlib
@example(0x8B1F)  # that of gzip
@example(0x005D)  # that of lzma
@example(0x4B50)  # half of that of a ZIP
def test_no_length_of_a_header_looks_like_a_container(tmp_path_factory: pytest.TempPathFactory, length: int):
    text = json.dumps({"a": entry()}).encode()
    length = max(length, len(text))
    folder = tmp_path_factory.mktemp("candidate")
    (folder / "weights.safetensors").write_bytes(length.to_bytes(8, "little") + text.ljust(length) + bytes(8))
    contents.check(folder)
    shutil.rmtree(folder)


PROSE = (
    b"card of a model\n\nfor nodes",
    b"I said so. You did not.",
    b"No.",
    b"(in brackets)",
    b".",
    b"",
    b"- a list\n",
)


@pytest.mark.parametrize("content", PROSE)
def test_plain_prose_is_no_pickle(tmp_path: Path, content: bytes):
    contents.check(fill(tmp_path / "candidate", "notes.md", content))


# Links and devices


def test_a_link_in_a_copy_is_refused_wherever_it_leads(tmp_path: Path):
    folder = fill(tmp_path / "candidate", "notes.md", b"# Notes\n")
    (folder / "link.md").symlink_to(folder / "notes.md")
    with pytest.raises(InputError, match=r"link\.md.*symbolic link"):
        contents.check(folder)


def test_a_link_out_of_the_candidate_is_not_followed(project: Path):
    (project / "secret.json").write_text("{}")
    (files.CANDIDATE / "golden.json").symlink_to(project / "secret.json")
    write_reports(files.REPORTS, write_record(files.CANDIDATE))
    with pytest.raises(InputError, match=r"golden\.json.*symbolic link"):
        register()


def test_a_folder_that_is_a_link_is_refused(project: Path):
    (files.CANDIDATE / "more").symlink_to(project / "reports")
    with pytest.raises(InputError, match=r"more.*symbolic link"):
        register()


@pytest.mark.parametrize("honest", [True, False])
def test_a_link_into_the_cache_of_dvc_is_followed_if_its_name_is_the_md5_of_its_bytes(project: Path, honest: bool):
    path = files.CANDIDATE / "weights.safetensors"
    digest = contents._md5(path)
    stored = project / "cache" / "files" / "md5" / digest[:2] / digest[2:]
    stored.parent.mkdir(parents=True)
    path.rename(stored)
    path.symlink_to(stored)
    if honest:
        assert register(allow_dirty=True) == "1"
        return
    stored.write_bytes(stored.read_bytes() + b" ")
    with pytest.raises(InputError, match=r"weights\.safetensors.*symbolic link"):
        register()


def test_a_second_name_of_a_file_elsewhere_is_refused(project: Path):
    os.link(files.CANDIDATE / "model.onnx", project / "elsewhere")
    with pytest.raises(InputError, match=r"model\.onnx.*hard link"):
        register()


def test_a_pipe_is_refused_and_never_opened(project: Path):
    os.mkfifo(files.CANDIDATE / "golden.json")
    with pytest.raises(InputError, match=r"golden\.json.*pipe"):
        register()


# Graphs


def altered(change: Callable[[onnx.ModelProto], object]) -> bytes:
    model = scorer()
    change(model)
    return bytes(model.SerializeToString())


def in_another_file(model: onnx.ModelProto) -> None:
    onnx.external_data_helper.set_external_data(model.graph.initializer[0], location="../../../etc/passwd")


def beside(model: onnx.ModelProto) -> None:
    onnx.external_data_helper.set_external_data(model.graph.initializer[0], location="weights.safetensors")


def hidden_in_a_branch(model: onnx.ModelProto) -> None:
    tensor = TensorProto(name="hidden", data_type=TensorProto.FLOAT, dims=[1], raw_data=bytes(4))
    onnx.external_data_helper.set_external_data(tensor, location="elsewhere")
    branch = helper.make_graph([helper.make_node("Constant", [], ["score"], value=tensor)], "branch", [], [])
    model.graph.node.append(helper.make_node("If", ["known"], ["unused"], then_branch=branch, else_branch=branch))


def custom(model: onnx.ModelProto) -> None:
    model.graph.node.append(helper.make_node("Run", ["window"], ["unused"], domain="com.example"))
    model.opset_import.append(helper.make_opsetid("com.example", 1))


def compiled(model: onnx.ModelProto) -> None:
    context = helper.make_node("EPContext", ["window"], ["unused"], domain="com.microsoft", ep_cache_context="../x.so")
    model.graph.node.append(context)
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))


def configured(model: onnx.ModelProto) -> None:
    model.metadata_props.add(key="ort_config", value="{}")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (in_another_file, "another file"),
        (beside, "another file"),
        (hidden_in_a_branch, "another file"),
        (custom, "com.example"),
        (compiled, "EPContext"),
        (configured, "configures the runtime"),
        (lambda model: model.graph.ClearField("node"), "no ONNX graph"),
        (lambda model: model.ClearField("opset_import"), "no ONNX graph"),
        (lambda model: model.graph.node[3].input.append("nowhere"), "no valid ONNX graph"),
    ],
)
def test_a_graph_that_needs_more_than_itself_is_refused(
    tmp_path: Path, change: Callable[[onnx.ModelProto], object], reason: str
):
    with pytest.raises(InputError, match=rf"model\.onnx.*{reason}"):
        contents.check(fill(tmp_path / "candidate", "model.onnx", altered(change)))


@pytest.mark.parametrize("content", [b"", b"\x00", b"not a graph", graph()[:-5], b"\xff" * 64])
def test_what_is_no_graph_is_refused(tmp_path: Path, content: bytes):
    with pytest.raises(InputError, match=r"model\.onnx.*ONNX"):
        contents.check(fill(tmp_path / "candidate", "model.onnx", content))


def test_bytes_in_a_field_that_onnx_does_not_have_are_refused(tmp_path: Path):
    smuggled = b"\xfa\x7f" + bytes((len(pickled(4)),)) + pickled(4)  # field 2047, length-delimited
    with pytest.raises(InputError, match="does not know"):
        contents.check(fill(tmp_path / "candidate", "model.onnx", graph() + smuggled))


def test_a_graph_may_define_functions_of_its_own(tmp_path: Path):
    def defined(model: onnx.ModelProto) -> None:
        opsets = [helper.make_opsetid("", 20)]
        body = [helper.make_node("Abs", ["x"], ["y"])]
        model.functions.append(helper.make_function("own", "Distance", ["x"], ["y"], body, opsets))
        model.opset_import.append(helper.make_opsetid("own", 1))
        model.graph.node.append(helper.make_node("Distance", ["window"], ["unused"], domain="own"))

    contents.check(fill(tmp_path / "candidate", "model.onnx", altered(defined)))


# Tensors


def tensors(header: object, size: int = 8) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + bytes(size)


def entry(begin: int = 0, end: int = 8, *, dtype: str = "F32", shape: object = (2,)) -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


BROKEN: dict[str, bytes] = {
    "empty": b"",
    "cut in the length": b"\x02\x00",
    "length beyond the file": (2**40).to_bytes(8, "little") + b"{}",
    "length of everything": b"\xff" * 64,
    "no object": tensors([]),
    "space before it": tensors(b" {}", 0),
    "not JSON": tensors(b"{nonsense"),
    "a key twice": tensors(b'{"a":%b,"a":%b}' % ((json.dumps(entry()).encode(),) * 2)),
    "unknown dtype": tensors({"a": entry(dtype="PICKLE")}),
    "dtype that is a list": tensors({"a": entry() | {"dtype": ["F32"]}}),
    "beyond the end": tensors({"a": entry(0, 16, shape=(4,))}),
    "overlap": tensors({"a": entry(), "b": entry()}),
    "hole": tensors({"a": entry(0, 4, shape=(1,)), "b": entry(8, 12, shape=(1,))}, 12),
    "bytes behind": tensors({"a": entry()}, 9),
    "negative": tensors({"a": entry(-8, 0)}),
    "wrong size": tensors({"a": entry(shape=(3,))}),
    "no shape": tensors({"a": {"dtype": "F32", "data_offsets": [0, 8]}}),
    "a field more": tensors({"a": entry() | {"code": "x"}}),
    "true as a number": tensors({"a": entry(0, 4, shape=(True,))}, 4),
    "metadata that is no text": tensors({"__metadata__": {"a": 1}, "b": entry()}),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_no_safetensors_file_is_refused(tmp_path: Path, case: str):
    with pytest.raises(InputError, match=r"weights\.safetensors"):
        contents.check(fill(tmp_path / "candidate", "weights.safetensors", BROKEN[case]))


@given(st.binary(max_size=200) | st.binary(max_size=60).map(lambda tail: tensors({"a": entry()}, 0) + tail))
def test_what_passes_is_read_by_the_library_too(tmp_path_factory: pytest.TempPathFactory, content: bytes):
    folder = fill(tmp_path_factory.mktemp("candidate"), "weights.safetensors", content)
    try:
        contents.check(folder)
    except InputError:
        return
    finally:
        shutil.rmtree(folder)
    try:
        safetensors.numpy.load(content)
    except SafetensorError as error:
        pytest.fail(f"passed, but {error}")


@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.int16, np.float16, np.float32, np.int64, np.float64])
def test_what_the_library_writes_passes(tmp_path: Path, dtype: type):
    arrays = {"a": np.zeros((2, 3), dtype), "empty": np.zeros((0, 4), dtype), "scalar": np.zeros((), dtype)}
    content = safetensors.numpy.save(arrays, metadata={"format": "np"})
    contents.check(fill(tmp_path / "candidate", "weights.safetensors", content))


# Texts


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"{} {}", b'{"a": 1, "a": 2}', b'{"b": {"a": 1, "a": 2}}', b"[NaN]", b"[Infinity]", b"[-Infinity]",
        b"[1e999]", b"\xff", b"\xef\xbb\xbf{}", "{}".encode("utf-16"), b"[" * 100_000, b"{'a': 1}", b"[01]",
        b"[" + b"9" * 5000 + b"]",
    ],
)  # fmt: skip
def test_what_is_no_strict_json_is_refused(tmp_path: Path, content: bytes):
    with pytest.raises(InputError, match=r"golden\.json.*JSON"):
        contents.check(fill(tmp_path / "candidate", "golden.json", content))


@pytest.mark.parametrize("content", [b"a\x00b", b"\xff", b"\x1b[2Ja", "é".encode("latin-1")])
def test_what_is_no_plain_text_is_refused(tmp_path: Path, content: bytes):
    with pytest.raises(InputError, match=r"notes\.md"):
        contents.check(fill(tmp_path / "candidate", "notes.md", content))
