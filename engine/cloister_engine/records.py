"""JSONL records to token rows with a loss mask, and what preflight counts on the way.

A record's text never leaves this module in a message: faults name the file's role and the line.
"""

from __future__ import annotations

import codecs
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .failures import DataError, InternalError
from .spec import FINE_TUNING, PRE_TRAINING

IGNORE = -100
"""Label of a token that does not count towards the loss."""

PROMPTS = "prompts"
"""Kind of a file of {"prompt"} records, beside the two tasks."""

KEYS = {FINE_TUNING: ("prompt", "completion"), PRE_TRAINING: ("input",), PROMPTS: ("prompt",)}
MAY_BE_EMPTY = ("prompt",)


@dataclass(frozen=True)
class Row:
    """One record as the model sees it."""

    input_ids: list[int]
    labels: list[int]


@dataclass
class Preflight:
    """Counts of one file; the members are those of the event."""

    file: str
    records: int = 0
    rows: int = 0
    tokens: int = 0
    label_tokens: int = 0
    truncated: int = 0
    dropped: int = 0
    duplicates: int = 0
    length_p50: int = 0
    length_p95: int = 0
    length_max: int = 0
    steps: int = 0


def read_jsonl(path: Path, kind: str, file: str) -> Iterator[dict[str, str]]:
    """Yield the records of a file. A BOM at the start, CRLF and a missing final newline are accepted."""
    try:
        with path.open("rb") as lines:
            if lines.peek(len(codecs.BOM_UTF8)).startswith(codecs.BOM_UTF8):
                lines.read(len(codecs.BOM_UTF8))
            if not lines.peek(1):
                raise DataError("the file is empty", file=file)
            for number, line in enumerate(lines, 1):
                yield _parse(line.removesuffix(b"\n").removesuffix(b"\r"), kind, file, number)
    except OSError as error:
        raise InternalError(f"cannot read the data: {type(error).__name__}", file=file) from None


def _parse(line: bytes, kind: str, file: str, number: int) -> dict[str, str]:
    def fault(text: str) -> DataError:
        return DataError(text, file=file, line=number)

    if not line.strip():
        raise fault("blank line")
    try:
        text = line.decode("utf-8", errors="strict")
    except UnicodeDecodeError as error:
        raise fault(f"not UTF-8 at byte {error.start} of the line") from None
    try:
        record = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except _DuplicateKeyError:
        raise fault("a key occurs twice in one object") from None
    except json.JSONDecodeError as error:
        raise fault(f"not valid JSON at character {error.pos} of the line") from None
    except (ValueError, RecursionError):
        raise fault("not valid JSON") from None
    wanted = KEYS[kind]
    if not isinstance(record, dict) or set(record) != set(wanted):
        raise fault(f"a record must be an object with exactly the keys {' and '.join(wanted)}")
    for key in wanted:
        value = record[key]
        if not isinstance(value, str):
            raise fault(f"$.{key} must be a string")
        if not value and key not in MAY_BE_EMPTY:
            raise fault(f"$.{key} is empty")
        if any("\ud800" <= c <= "\udfff" for c in value):
            raise fault(f"$.{key} has an unpaired surrogate")
    return record


class _DuplicateKeyError(ValueError):
    pass


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise _DuplicateKeyError
    return result


def _no_constant(_: str) -> None:
    raise ValueError("NaN and Infinity are not JSON")


class Renderer:
    """Turns records into tokens; inference builds its prompts with the same object."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        if tokenizer.eos_token_id is None:
            raise InternalError("the base model has no end-of-sequence token")
        if not tokenizer.chat_template:
            raise InternalError("the base model has no chat template")
        self.eos: int = tokenizer.eos_token_id

    def encode(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def _render(self, messages: list[dict[str, str]], *, open_turn: bool) -> str:
        text: str = self.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=open_turn)
        return text

    def prompt(self, prompt: str) -> list[int]:
        """The tokens that inference sends for a prompt, and that training puts before a completion."""
        return self.encode(self._render([{"role": "user", "content": prompt}], open_turn=True))

    def pair(self, prompt: str, completion: str) -> Row:
        """Loss on the completion and its end token only. Prompt and answer are tokenised apart."""
        user = {"role": "user", "content": prompt}
        before = self._render([user], open_turn=True)
        after = self._render([user, {"role": "assistant", "content": completion}], open_turn=False)
        if not after.startswith(before):
            raise InternalError("the base model's chat template is not prefix-stable")
        context, answer = self.encode(before), self.encode(after[len(before) :])
        if self.eos in answer:  # what follows the end token (a line feed, in ChatML) is never generated
            answer = answer[: len(answer) - answer[::-1].index(self.eos)]
        else:
            answer.append(self.eos)
        return Row(context + answer, [IGNORE] * len(context) + answer)

    def document(self, text: str) -> Row:
        """Loss on every token that has one before it, and on the end token."""
        ids = [*self.encode(text), self.eos]
        return Row(ids, [IGNORE, *ids[1:]])

    def row(self, record: dict[str, str]) -> Row:
        if "input" in record:
            return self.document(record["input"])
        return self.pair(record["prompt"], record["completion"])


def build_rows(
    renderer: Renderer, path: Path, task: str, file: str, max_length: int, pause: Callable[[], None]
) -> tuple[list[Row], Preflight]:
    """Read, render and count a file. DataError if no record is left to learn from. pause may raise."""
    report, rows, seen = Preflight(file), [], set()
    for record in read_jsonl(path, task, file):
        pause()
        report.records += 1
        digest = hashlib.blake2b(json.dumps(record, sort_keys=True).encode(), digest_size=16).digest()
        report.duplicates += digest in seen
        seen.add(digest)
        row = renderer.row(record)
        if len(row.input_ids) > max_length or all(label == IGNORE for label in row.labels):
            report.dropped += 1
            continue
        rows.append(row)
    if not rows:
        raise DataError(
            f"none of the {report.records} records is usable: each is longer than {max_length} tokens or has"
            " nothing to learn; shorten them or raise cloister.maxSequenceLength",
            file=file,
        )
    lengths = sorted(len(row.input_ids) for row in rows)
    report.rows, report.tokens = len(rows), sum(lengths)
    report.label_tokens = sum(label != IGNORE for row in rows for label in row.labels)
    report.length_p50, report.length_p95 = lengths[len(lengths) // 2], lengths[int(len(lengths) * 0.95)]
    report.length_max = lengths[-1]
    return rows, report
