"""Process environment: offline, quiet, no telemetry. Applied before torch or transformers is imported."""

from __future__ import annotations

import os
import warnings

FIXED = {
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "USE_HUB_KERNELS": "0",
    "TOKENIZERS_PARALLELISM": "false",
    "PYTHONDONTWRITEBYTECODE": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    # Spinning barriers cost up to three times the CPU when the host has other work (measured).
    "OMP_WAIT_POLICY": "PASSIVE",
}


def prepare(threads: int) -> None:
    """Set the environment of this process. The control plane sends the same list; this makes it certain."""
    os.environ.update(FIXED)
    os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(threads)
    os.umask(0o022)
    warnings.simplefilter("ignore")  # libraries' warnings may quote what they read, and nobody acts on them


def configure_torch(threads: int) -> None:
    """Import torch and make its results repeatable on one machine."""
    import torch

    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
