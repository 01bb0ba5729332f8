"""What a training computes on, and how exactly."""

import os

import torch

from project.options import ConvolutionOptions
from wattline.task import InputError, Processes

CPU = torch.device("cpu")
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def choose(options: ConvolutionOptions, processes: Processes) -> torch.device:
    """The CPU, or this process's GPU among those of its node.

    Raises InputError where the options ask for a GPU that is not there.
    """
    if options.device == "cpu":
        return CPU
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if count == 0:
        if options.device == "auto":
            return CPU
        raise InputError(
            "params.yaml: train.convolution.device is cuda, and PyTorch sees no GPU here; ask for one in "
            "hpc.stages.train.gpus_per_node, install PyTorch with CUDA, or set it to auto or cpu"
        )
    # A scheduler that binds GPUs shows each process only its own one.
    place = processes.local_rank if count > 1 else 0
    if place >= count:
        raise InputError(
            f"process {processes.rank} is the {place + 1}. on its node, which has {count} GPUs; set "
            "hpc.stages.train.tasks_per_node to at most gpus_per_node"
        )
    return torch.device("cuda", place)


def prepare(device: torch.device, options: ConvolutionOptions) -> None:
    """Make `device` compute as exactly, and as repeatably, as the options say. It holds for this whole process."""
    torch.use_deterministic_algorithms(options.deterministic)
    if device.type != "cuda":
        return
    torch.cuda.set_device(device)
    # cuBLAS reads it when it begins: https://docs.nvidia.com/cuda/cublas/#results-reproducibility
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.backends.cudnn.benchmark = not options.deterministic
    # By default convolutions in float32 are rounded to the 10 bits of TF32.
    torch.backends.fp32_precision = "ieee"


def describe(device: torch.device) -> str:
    """Its kind, with the model of a GPU: another model may give other bits."""
    return f"cuda: {torch.cuda.get_device_name(device)}" if device.type == "cuda" else "cpu"


def notes(device: torch.device, options: ConvolutionOptions) -> dict[str, str]:
    """What a record of the training says of all this."""
    return {"device": describe(device), "precision": options.precision}


def autocast(device: torch.device, options: ConvolutionOptions) -> torch.autocast:
    """In which the network computes while it learns."""
    return torch.autocast(
        device.type, dtype=PRECISIONS[options.precision], enabled=options.precision != "float32", cache_enabled=False
    )


def scaler(device: torch.device, options: ConvolutionOptions) -> torch.amp.GradScaler:
    """Keeps gradients in the range of float16; does nothing for the other precisions."""
    found = torch.amp.GradScaler(device.type, enabled=options.precision == "float16")
    found.scale(torch.zeros((), device=device))  # it makes its tensors only when it is used for the first time
    return found
