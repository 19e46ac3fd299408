"""Job specifications: one JSON file written by the control plane, read once, unknown keys refused."""

from __future__ import annotations

import json
import math
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from . import CONTRACT_VERSION
from .failures import InternalError

FINE_TUNING = "fine-tuning"
PRE_TRAINING = "continued-pre-training"

MAX_SPEC_BYTES = 1 << 20
MAX_VALIDATION_FILES = 10  # Bedrock's limit of validators


@dataclass(frozen=True)
class Train:
    """Customize a base model."""

    base: Path
    train_file: Path
    output: Path
    task: str
    method: str
    epochs: int
    batch_size: int  # records per optimizer step; the engine chooses the micro-batch
    learning_rate: float  # used as it is: LoRA's scale has been applied
    warmup_steps: int
    max_length: int  # tokens; longer records are dropped and counted
    seed: int
    threads: int
    lora_rank: int = 16
    validation_files: tuple[Path, ...] = ()

    def check(self) -> None:
        _one_of("task", self.task, (FINE_TUNING, PRE_TRAINING))
        _one_of("method", self.method, ("full", "lora"))
        _between("epochs", self.epochs, 1, 1000)
        _between("batch_size", self.batch_size, 1, 65_536)
        _between("learning_rate", self.learning_rate, 0.0, 100.0)
        _between("warmup_steps", self.warmup_steps, 0, 1_000_000)
        _between("lora_rank", self.lora_rank, 1, 256)
        _between("max_length", self.max_length, 16, 1 << 20)
        _between("seed", self.seed, 0, (1 << 32) - 1)
        _between("validation files", len(self.validation_files), 0, MAX_VALIDATION_FILES)


@dataclass(frozen=True)
class Check:
    """Read and count the data as training would, and train nothing."""

    base: Path
    train_file: Path
    task: str
    epochs: int
    batch_size: int
    max_length: int
    threads: int
    validation_files: tuple[Path, ...] = ()

    def check(self) -> None:
        _one_of("task", self.task, (FINE_TUNING, PRE_TRAINING))
        _between("epochs", self.epochs, 1, 1000)
        _between("batch_size", self.batch_size, 1, 65_536)
        _between("max_length", self.max_length, 16, 1 << 20)
        _between("validation files", len(self.validation_files), 0, MAX_VALIDATION_FILES)


@dataclass(frozen=True)
class Evaluate:
    """Generate greedily for prompts, and measure the token-mean loss of records."""

    base: Path
    threads: int
    adapter: Path | None = None  # a directory that `train` wrote with method lora
    model: Path | None = None  # a directory that `train` wrote with method full: used instead of base
    prompts_file: Path | None = None
    records_file: Path | None = None
    output: Path | None = None  # file for the generations, needed with prompts_file
    task: str = FINE_TUNING
    max_new_tokens: int = 64
    batch_size: int = 8
    max_length: int = 1024

    def check(self) -> None:
        _one_of("task", self.task, (FINE_TUNING, PRE_TRAINING))
        _between("max_new_tokens", self.max_new_tokens, 1, 8192)
        _between("batch_size", self.batch_size, 1, 1024)
        _between("max_length", self.max_length, 16, 1 << 20)
        if self.adapter is not None and self.model is not None:
            raise InternalError("specification: adapter and model exclude each other")
        if self.prompts_file is None and self.records_file is None:
            raise InternalError("specification: prompts_file, records_file or both are needed")
        if (self.prompts_file is None) != (self.output is None):
            raise InternalError("specification: output goes with prompts_file")


@dataclass(frozen=True)
class ImportGguf:
    """Convert a GGUF file to safetensors, tokenizer and configuration."""

    gguf: Path
    output: Path
    threads: int

    def check(self) -> None:
        """Nothing beyond the types."""


@dataclass(frozen=True)
class MakeTiny:
    """Generate the tiny test model."""

    output: Path
    threads: int

    def check(self) -> None:
        """Nothing beyond the types."""


Spec = Train | Check | Evaluate | ImportGguf | MakeTiny

COMMANDS: dict[str, type[Spec]] = {
    "train": Train,
    "check": Check,
    "evaluate": Evaluate,
    "import-gguf": ImportGguf,
    "make-tiny": MakeTiny,
}


def load(command: str, path: Path) -> Spec:
    """Read the specification of a command. Every fault is an InternalError: a customer cannot cause one."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_SPEC_BYTES + 1)
        if len(data) > MAX_SPEC_BYTES:
            raise InternalError("specification: larger than 1 MiB")
        raw = json.loads(data, object_pairs_hook=_unique)
    except OSError as error:
        raise InternalError(f"specification: cannot be read: {type(error).__name__}") from None
    except (ValueError, RecursionError):
        raise InternalError("specification: not JSON") from None
    return parse(command, raw)


def parse(command: str, raw: Any) -> Spec:
    """Turn decoded JSON into a specification."""
    if not isinstance(raw, dict):
        raise InternalError("specification: not an object")
    raw = dict(raw)
    if raw.pop("version", None) != CONTRACT_VERSION:
        raise InternalError(
            f"specification: version must be {CONTRACT_VERSION}: engine and cloister do not fit together"
        )
    if raw.pop("command", None) != command:
        raise InternalError("specification: made for another command")
    cls = COMMANDS[command]
    known = {field.name: field for field in fields(cls)}
    if unknown := sorted(set(raw) - set(known)):
        raise InternalError(f"specification: unknown keys {unknown}")
    hints = get_type_hints(cls)
    values: dict[str, Any] = {}
    for name, field in known.items():
        if name in raw:
            values[name] = _convert(name, raw[name], hints[name])
        elif field.default is MISSING:
            raise InternalError(f"specification: {name} is missing")
    spec = cls(**values)
    _between("threads", spec.threads, 1, 1024)
    spec.check()
    return spec


def _convert(name: str, value: Any, hint: Any) -> Any:
    if get_origin(hint) is tuple:
        if not isinstance(value, list):
            raise InternalError(f"specification: {name} must be a list")
        return tuple(_convert(name, item, get_args(hint)[0]) for item in value)
    if hint is Path or Path in get_args(hint):
        if not isinstance(value, str) or not value.startswith("/"):
            raise InternalError(f"specification: {name} must be an absolute path")
        return Path(value)
    if hint is float and type(value) in (int, float) and math.isfinite(value):
        return float(value)
    if type(value) is hint and hint in (int, str):
        return value
    raise InternalError(f"specification: {name} has the wrong type")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("duplicate key")
    return result


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise InternalError(f"specification: {name} must be one of {', '.join(allowed)}")


def _between(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise InternalError(f"specification: {name} must be between {low} and {high}")
