"""The Python that runs a notebook's cells: this very one, alone with us, and gone when we are."""

import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from wattline.settings import settings

LONGEST = 70
"""Characters of a folder in which sockets can still have names: the system allows 107 for all [bytes]."""


@contextmanager
def kernels() -> Iterator[type]:
    """A class of kernel managers. Nothing that one of them started outlives the block.

    No kernel needs to be installed, and one that a person installed is not taken. It is reached by sockets in a folder
    that nobody else may enter: not by ports, of which two may want the same and which every user of a node can reach.
    """
    from jupyter_client.kernelspec import KernelSpec
    from jupyter_client.manager import AsyncKernelManager

    started: list[Any] = []
    with tempfile.TemporaryDirectory(prefix="wattline-kernel-", dir=_parent()) as name:
        folder = Path(name)

        class Kernel(AsyncKernelManager):  # type: ignore[misc]  # without types
            def __init__(self, **options: Any) -> None:
                options |= {"transport": "ipc", "ip": str(folder / "kernel")}
                super().__init__(connection_file=str(folder / "connection.json"), **options)
                started.append(self)

            @property
            def kernel_spec(self) -> KernelSpec:
                command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
                return KernelSpec(
                    argv=[*command, "--HistoryManager.enabled=False"],
                    env=_variables(folder),
                    language="python",
                    display_name="Python",
                )

        try:
            yield Kernel
        finally:
            for manager in started:
                _end(manager)


def _parent() -> str | None:
    """Where the folder is made; None: where the system says."""
    return None if len(tempfile.gettempdir()) <= LONGEST else "/tmp"  # noqa: S108  # of our own, below it


def _variables(folder: Path) -> dict[str, str]:
    """What a kernel's environment has beyond ours. Cells are printed and kept, so no secret is among it."""
    return {
        **dict.fromkeys(settings().given, ""),
        "IPYTHONDIR": str(folder / "ipython"),  # no start-up file of a person changes what comes out
        "PYTHONHASHSEED": "0",  # a set that is printed has the same order again
        "MPLBACKEND": "Agg",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",  # a warning about a debugger that nobody asked for
    }


def _end(manager: Any) -> None:
    """Kill the kernel, with all that it started, where an interruption kept others from ending it."""
    process = getattr(manager.provisioner, "process", None)
    if process is not None and process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
