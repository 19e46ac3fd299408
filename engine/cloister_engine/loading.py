"""Base models and adapters, from local directories: safetensors only, no code, no hub."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .failures import InternalError

# A list of what may be there, not of what may not: formats that run code are many.
ALLOWED_SUFFIXES = (".safetensors", ".json", ".jinja", ".txt")


def check_directory(directory: Path) -> None:
    """Refuse anything that is not a plain safetensors model: pickles, Python code, links out."""
    if not directory.is_dir():
        raise InternalError("the model's directory is missing")
    for path in sorted(directory.rglob("*")):
        if path.is_symlink() or not (path.is_dir() or path.is_file()):
            raise InternalError(f"refused: {path.name} is not a plain file")
        if path.is_file() and path.suffix not in ALLOWED_SUFFIXES:
            raise InternalError(f"refused: {path.name} is not of a safetensors model")
    for name in ("config.json", "tokenizer_config.json", "adapter_config.json"):
        path = directory / name
        if path.exists() and "auto_map" in json.loads(path.read_bytes()):
            raise InternalError(f"refused: {name} asks for Python code of the model's own (auto_map)")


def load_tokenizer(directory: Path) -> Any:
    from transformers import AutoTokenizer

    check_directory(directory)
    return AutoTokenizer.from_pretrained(directory, local_files_only=True, trust_remote_code=False)


def load_model(directory: Path) -> Any:
    """Load a causal language model in fp32: on CPUs bf16 is slower, and repeatable results want one type."""
    import torch
    from transformers import AutoModelForCausalLM

    check_directory(directory)
    return AutoModelForCausalLM.from_pretrained(
        directory,
        dtype=torch.float32,
        use_safetensors=True,
        local_files_only=True,
        trust_remote_code=False,
        attn_implementation="sdpa",
    )


def load_adapter(model: Any, directory: Path) -> Any:
    from peft import PeftModel

    check_directory(directory)
    if not (directory / "adapter_model.safetensors").is_file():  # PEFT would look for a pickled .bin
        raise InternalError("refused: no adapter_model.safetensors")
    return PeftModel.from_pretrained(model, directory, local_files_only=True)


def publish(directory: Path) -> dict[str, int]:
    """Make what was saved readable for other users (safetensors writes 0600) and list it: name to bytes."""
    files = {}
    for path in sorted(directory.iterdir()):
        path.chmod(0o644)
        files[path.name] = path.stat().st_size
    check_directory(directory)
    return files
