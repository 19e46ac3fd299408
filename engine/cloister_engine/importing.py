"""One-time conversion of a GGUF file to a safetensors base model."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import torch

from .events import Channel
from .failures import InternalError
from .loading import publish
from .records import Renderer
from .spec import ImportGguf

MAGIC = b"GGUF"


def import_gguf(spec: ImportGguf, channel: Channel) -> dict[str, int]:
    """Convert, check and report. Returns the files written: name to bytes."""
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    check_magic(spec.gguf)
    source = {"gguf_file": spec.gguf.name, "local_files_only": True, "trust_remote_code": False}
    tokenizer = AutoTokenizer.from_pretrained(spec.gguf.parent, **source)
    model = AutoModelForCausalLM.from_pretrained(
        spec.gguf.parent,
        dtype=torch.float32,
        # without it save_pretrained refuses: "quantized with gguf and is not serializable"
        quantization_config=GgufConfig(dequantize=True),
        **source,
    )
    return save_base(spec.output, model, tokenizer, channel)


def check_magic(path: Path) -> None:
    """Refuse what is not GGUF: a pickle or an archive under that name above all."""
    try:
        with path.open("rb") as file:
            magic = file.read(len(MAGIC))
    except OSError as error:
        raise InternalError(f"the GGUF file cannot be read: {type(error).__name__}") from None
    if magic != MAGIC or path.suffix != ".gguf":
        raise InternalError("refused: not a GGUF file")


def save_base(output: Path, model: Any, tokenizer: Any, channel: Channel) -> dict[str, int]:
    """Write a base model and report its facts. A base needs an end token, a pad token and a chat template."""
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    Renderer(tokenizer).pair("prompt", "completion")  # refuses a base that cannot be trained on
    output.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(output)
    tokenizer.save_pretrained(output)
    channel.emit(
        "imported",
        architecture=model.config.architectures[0],
        parameters=sum(p.numel() for p in model.parameters()),
        context_length=int(model.config.max_position_embeddings),
        vocabulary=int(model.config.vocab_size),
        template_sha256=hashlib.sha256(tokenizer.chat_template.encode()).hexdigest(),
        stop_tokens=[tokenizer.eos_token],
    )
    return publish(output)
