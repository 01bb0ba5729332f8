"""Takes out of an installed Python what a server never runs, and compiles what it imports."""

import importlib
import importlib.util
import py_compile
import shutil
import struct
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path

IMPORTED = (
    "arro3.core", "arro3.io", "fastapi", "httptools", "httpx", "jwt", "multiprocessing.connection",
    "multiprocessing.spawn", "numpy.typing", "onnxruntime", "orjson", "prometheus_client.multiprocess",
    "pydantic.functional_serializers", "pydantic_settings", "simdjson", "sqlite3", "statistics", "typer",
    "uvloop", "yaml",
)  # fmt: skip
"""What the server imports at its start or while it answers."""
UNUSED = (
    "onnxruntime/backend", "onnxruntime/datasets", "onnxruntime/quantization", "onnxruntime/tools",
    "onnxruntime/transformers", "onnxruntime/capi/libonnxruntime.so.*",  # for programs in C; Python's is linked whole
    "numpy/distutils", "numpy/f2py", "numpy/_core/include", "numpy/_core/lib", "numpy/_core/*_tests.*.so",
    "numpy/_core/_simd.*.so", "numpy/random/lib",
    "**/tests", "**/*.a", "**/*.c", "**/*.cpp", "**/*.h", "**/*.pxd", "**/*.pxi", "**/*.pyi", "**/*.pyx",
)  # fmt: skip
"""Patterns below site-packages: tests, sources of compiled modules, stubs, and tools of training."""
INSTALLERS = ("pip", "pip-*", "setuptools", "setuptools-*", "wheel", "wheel-*", "pkg_resources", "_distutils_hack")
"""Patterns beside the base's own packages: nothing can be installed into a running container."""
ELF64 = b"\x7fELF\x02\x01"
HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
SEGMENT = struct.Struct("<IIQQQQQQ")


def packages() -> None:
    """Make the environment of this interpreter small."""
    site = Path(sysconfig.get_path("purelib"))
    remove(path for pattern in UNUSED for path in site.glob(pattern))
    remove(path for path in Path(sys.prefix, "bin").iterdir() if not path.name.startswith("python"))
    for library in [path for path in site.rglob("*.so*") if path.is_file()]:
        cut(library)
    compile_imported()


def base() -> None:
    """Remove what could install something, and compile what the base image left uncompiled."""
    library = Path(sysconfig.get_path("stdlib"))
    remove([library / "ensurepip", Path("/usr/share/python-wheels")])
    for folder in (library / "site-packages", library / "dist-packages", Path("/usr/lib/python3/dist-packages")):
        remove(path for pattern in INSTALLERS for path in folder.glob(pattern))
    for folder in ("/usr/bin", "/usr/local/bin"):
        remove(path for pattern in ("pip*", "wheel") for path in Path(folder).glob(pattern))
    compile_imported()


def remove(paths: Iterable[Path]) -> None:
    """Remove files and folders that are there."""
    for path in list(paths):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def cut(library: Path) -> None:
    """Drop symbols and debug sections of a shared library: they lie behind the last segment, and only segments load."""
    content = library.read_bytes()
    if not content.startswith(ELF64):
        return
    fields = list(HEADER.unpack_from(content))
    first, size, count = fields[5], fields[9], fields[10]
    segments = [SEGMENT.unpack_from(content, first + at * size) for at in range(count)]
    end = max(first + size * count, *(offset + length for _, _, offset, _, _, length, _, _ in segments))
    fields[6], fields[12], fields[13] = 0, 0, 0  # no table of sections
    library.write_bytes(HEADER.pack(*fields) + content[HEADER.size : end])


def compile_imported() -> None:
    """Compile every module that IMPORTED needs: a read-only container cannot, and would at each start."""
    for name in IMPORTED:
        importlib.import_module(name)
    for source in sorted(set(_sources())):
        if not Path(importlib.util.cache_from_source(source)).exists():
            # Sources never change in an image, so they need not be looked at.
            py_compile.compile(source, doraise=True, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)


def _sources() -> Iterator[str]:
    for module in list(sys.modules.values()):
        origin = getattr(getattr(module, "__spec__", None), "origin", None)
        if origin is not None and origin.endswith(".py"):
            yield origin


if __name__ == "__main__":
    {"packages": packages, "base": base}[sys.argv[1]]()
