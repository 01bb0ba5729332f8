"""How the processes of one training find each other, and learn which of them was lost."""

import array
import fcntl
import json
import os
import socket
import struct
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import torch
import torch.distributed as dist

from wattline.task import InputError, Processes, WattlineError

CONNECT_SECONDS = 5.0
LOOK_SECONDS = 1.0
BACKLOG = 4096
"""So many looks at a process may be made: nobody takes them out of its queue. The kernel may allow fewer."""
ADDRESS_OF_INTERFACE = 0x8915
"""SIOCGIFADDR of linux/sockios.h."""


class Peers:
    """The processes that were there at the beginning. Each listens on a port of its own for as long as it lives.

    Nobody accepts: the kernel answers for a process that is alive, and refuses for one that is not.
    """

    def __init__(self, processes: Processes, said: Sequence[Mapping[str, Any]]) -> None:
        self._processes = processes
        self._said = said
        self.parted = False
        """Whether an exchange has failed: there will be no other one."""

    def gone(self) -> list[int]:
        """Ranks that do not live any more."""
        return [rank for rank in range(self._processes.count) if rank != self._processes.rank and not self._alive(rank)]

    def lost(self, error: Exception) -> WattlineError:
        """What to say when they could not exchange something."""
        self.parted = True
        me, gone = self._processes, self.gone()
        until = time.monotonic() + CONNECT_SECONDS
        while not gone and time.monotonic() < until:  # one that ends closes its connections one by one
            time.sleep(LOOK_SECONDS)
            gone = self.gone()
        if not gone:
            return WattlineError(
                f"process {me.rank} of {me.count} waited in vain for another one, and all of them live "
                f"({_first_line(error)}); one is stuck, or the network between the nodes is: look at what each said, "
                "or set GLOO_SOCKET_IFNAME (NCCL_SOCKET_IFNAME on GPUs) to the fast network's interface"
            )
        names = " and ".join(f"process {rank} on {self._said[rank]['host']}" for rank in gone)
        return WattlineError(
            f"process {me.rank} of {me.count} lost {names}; what it said last tells why. Start all of them again: they "
            "go on from the last checkpoint"
        )

    def _alive(self, rank: int) -> bool:
        try:
            socket.create_connection((self._said[rank]["address"], self._said[rank]["port"]), CONNECT_SECONDS).close()
        except OSError:
            return False
        return True


@contextmanager
def meet(processes: Processes, device: torch.device) -> Iterator[Peers]:
    """Connect all processes for as long as the block lasts; exchange with `torch.distributed` meanwhile.

    Raises WattlineError naming who did not come, InputError for processes that do not fit together.
    """
    host, port = _parts(processes)
    address = _own_address(host, port, processes)
    with lifeline_at(address) as lifeline:
        store = _store(host, port, processes)
        said = {
            "host": socket.gethostname(),
            "address": address,
            "port": lifeline.getsockname()[1],
            "device": device.type,
            "gpu": str(torch.cuda.get_device_properties(device).uuid) if device.type == "cuda" else "",
            "torch": torch.__version__,
        }
        found = _greet(store, processes, said)
        check_alike(found)
        _connect(store, processes, device, address=address)
        peers = Peers(processes, found)
        try:
            yield peers
        finally:
            # NCCL would wait for those that are gone.
            if not (peers.parted and device.type == "cuda"):
                dist.destroy_process_group()


def lifeline_at(address: str) -> socket.socket:
    """Where a process can be looked at for as long as it lives."""
    return socket.create_server((address, 0), backlog=BACKLOG)


def check_alike(said: Sequence[Mapping[str, Any]]) -> None:
    """Raise InputError where two processes share a GPU, or differ in device or PyTorch."""
    for rank, one in enumerate(said):
        for name, remedy in (("device", "use nodes of one kind"), ("torch", "give all nodes the same environment")):
            if one[name] != said[0][name]:
                raise InputError(
                    f"process {rank} on {one['host']} has {name} {one[name]}, process 0 has {said[0][name]}; {remedy}"
                )
        other = next(place for place, earlier in enumerate(said) if earlier["gpu"] == one["gpu"])
        if one["gpu"] and other != rank:
            raise InputError(
                f"processes {other} and {rank} were given the same GPU of {one['host']}; set hpc.stages.train."
                "tasks_per_node to at most gpus_per_node"
            )


def _parts(processes: Processes) -> tuple[str, int]:
    parts = urlsplit(processes.rendezvous)
    try:
        if parts.scheme == "tcp" and parts.hostname and parts.port:
            return parts.hostname, parts.port
    except ValueError:
        pass
    raise InputError(
        f"{processes.count} processes train together, and where they meet is {processes.rendezvous!r}, not "
        "tcp://HOST:PORT; set MASTER_ADDR to the first node and MASTER_PORT to a free port there"
    )


def _own_address(host: str, port: int, processes: Processes) -> str:
    """Of this machine, on the network through which it reaches the first process."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect((host, port))  # sends nothing
            return str(probe.getsockname()[0])
    except OSError as error:
        raise InputError(
            f"process {processes.rank} of {processes.count} knows no way to {host} ({error}); set MASTER_ADDR to a "
            "name or address of the first node that every node knows"
        ) from None


def _store(host: str, port: int, processes: Processes) -> dist.Store:
    """What the processes tell each other by; the first one serves it, or torchrun where that started them."""
    patience = timedelta(seconds=processes.patience_seconds)
    if processes.rank == 0 and not processes.served:
        listener = _listen(host, port)
        return dist.TCPStore(
            host, port, is_master=True, timeout=patience, wait_for_workers=False, master_listen_fd=listener.detach()
        )
    try:
        store = dist.TCPStore(host, port, is_master=False, timeout=patience, wait_for_workers=False)
    except RuntimeError as error:
        raise WattlineError(
            f"process {processes.rank} of {processes.count} did not reach process 0 at {host}:{port} within "
            f"{processes.patience_seconds:g} s ({_first_line(error)}); look at what process 0 has said, and whether "
            "nodes may connect to each other"
        ) from None
    # What torchrun serves outlives the processes that it starts again.
    return dist.PrefixStore(processes.served, store) if processes.served else store


def _listen(host: str, port: int) -> socket.socket:
    """On the address that was named. A name may mean a loopback address on its own node: then on all of them."""
    try:
        address = str(ip_address(host))
    except ValueError:
        address = ""
    try:
        return socket.create_server((address, port), backlog=128)
    except OSError as error:
        raise InputError(
            f"process 0 cannot listen on {host}:{port} ({error.strerror}); set MASTER_PORT to a free port of the node "
            "on which process 0 runs, and MASTER_ADDR to that node"
        ) from None


def _greet(store: dist.Store, processes: Processes, said: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """What every process says of itself."""
    names = [f"hello-{rank}" for rank in range(processes.count)]
    try:
        store.set(names[processes.rank], json.dumps(said))
        store.wait(names)
        return [json.loads(store.get(name)) for name in names]
    except RuntimeError as error:
        try:
            missing = [str(rank) for rank, name in enumerate(names) if not store.check([name])]
        except RuntimeError:
            missing = ["0"]
        raise WattlineError(
            f"process {processes.rank} of {processes.count} waited {processes.patience_seconds:g} s for process "
            f"{' and '.join(missing) or 'es that came too late'} ({_first_line(error)}); start as many as the "
            "environment says, all at once, and look at what the missing ones said"
        ) from None


def _connect(store: dist.Store, processes: Processes, device: torch.device, *, address: str) -> None:
    if device.type == "cuda":
        # A lost process is an exception in the others then, and no abort without a word.
        os.environ.setdefault("TORCH_NCCL_BLOCKING_WAIT", "1")
    interface = _interface(address)
    if interface:
        # Gloo would listen on the address of the host's own name, which is a loopback one on many machines.
        os.environ.setdefault("GLOO_SOCKET_IFNAME", interface)
    try:
        dist.init_process_group(
            "nccl" if device.type == "cuda" else "gloo",
            store=store,
            rank=processes.rank,
            world_size=processes.count,
            timeout=timedelta(seconds=processes.patience_seconds),
            device_id=device if device.type == "cuda" else None,
        )
    except RuntimeError as error:
        raise WattlineError(
            f"process {processes.rank} of {processes.count} on {socket.gethostname()} got no connection to the others "
            f"({_first_line(error)}); set GLOO_SOCKET_IFNAME (NCCL_SOCKET_IFNAME on GPUs) to an interface that "
            "connects the nodes"
        ) from None


def _interface(address: str) -> str:
    """Name of the network interface that has this address; "" where none has."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        for _, name in socket.if_nameindex():
            request = array.array("B", struct.pack("256s", name.encode()))
            try:
                fcntl.ioctl(asked.fileno(), ADDRESS_OF_INTERFACE, request)
            except OSError:
                continue
            if socket.inet_ntoa(request[20:24].tobytes()) == address:
                return name
    return ""


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
