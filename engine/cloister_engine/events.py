"""Events to, and commands from, the control plane: NDJSON on one inherited descriptor.

The table below is the contract; internal/engine decodes the same events, and both sides test
themselves with the files in internal/engine/testdata.
"""

from __future__ import annotations

import json
import os
import queue
import resource
import threading
import time
from collections.abc import Callable
from typing import Any

HEARTBEAT_S = 5.0
MAX_LINE_BYTES = 64 << 10
MAX_COMMAND_BYTES = 4 << 10
CLOSE_TIMEOUT_S = 30.0
FINAL = ("completed", "stopped", "failed")
SOFT_LIMIT = 10_000  # events waiting; beyond it heartbeats and progress are left out, steps never are

COUNT = (int,)
NUMBER = (int, float)
TEXT = (str,)

SCHEMA: dict[str, dict[str, tuple[type, ...]]] = {
    # One for each file, before the first step.
    "preflight": {
        "file": TEXT,  # "train" or "validation-N"
        "records": COUNT,
        "rows": COUNT,  # records that are used
        "tokens": COUNT,  # of the rows
        "label_tokens": COUNT,  # tokens that count towards the loss
        "truncated": COUNT,  # records cut short; always 0, because longer records are dropped
        "dropped": COUNT,  # records longer than max_length, or without a token to learn
        "duplicates": COUNT,  # records equal to an earlier one
        "length_p50": COUNT,
        "length_p95": COUNT,
        "length_max": COUNT,
        "steps": COUNT,  # optimizer steps of the whole job; 0 for validation files
    },
    "started": {
        "max_steps": COUNT,
        "steps_per_epoch": COUNT,
        "micro_batch": COUNT,
        "parameters": COUNT,
        "trainable": COUNT,
        "seed": COUNT,
        "threads": COUNT,
        "setup_s": NUMBER,
        "versions": (dict,),
    },
    "step": {
        "step": COUNT,  # from 0
        "max_steps": COUNT,
        "epoch": COUNT,  # from 0
        "loss": NUMBER,  # mean over the step's label tokens, before the step
        "lr": NUMBER,
        "grad_norm": NUMBER,
        "tokens_total": COUNT,
        "tok_s": NUMBER,
        "eta_s": NUMBER,
        "rss_peak_mb": COUNT,
    },
    # At the end of each epoch, if there are validation files.
    "evaluation": {
        "step": COUNT,  # the last step taken
        "epoch": COUNT,
        "loss": NUMBER,  # mean over the label tokens of all files
        "label_tokens": COUNT,
        "files": (list,),  # [{"loss", "label_tokens"}], in the order of the specification
        "seconds": NUMBER,
    },
    "heartbeat": {"rss_peak_mb": COUNT},
    "progress": {"done": COUNT, "total": COUNT},  # of `evaluate`: prompts answered
    # Results of `evaluate`; label_tokens 0 means that no records were given.
    "measured": {"loss": NUMBER, "label_tokens": COUNT, "records": COUNT, "prompts": COUNT},
    # Facts of a base model that was made or converted.
    "imported": {
        "architecture": TEXT,
        "parameters": COUNT,
        "context_length": COUNT,
        "vocabulary": COUNT,
        "template_sha256": TEXT,
        "stop_tokens": (list,),
    },
    "completed": {
        "steps": COUNT,
        "trainable": COUNT,
        "loss_last": NUMBER,
        "loss_mean": NUMBER,
        "files": (dict,),  # name: bytes
        "seconds": NUMBER,
        "rss_peak_mb": COUNT,
    },
    "stopped": {"steps": COUNT},
    "failed": {"reason": TEXT, "message": TEXT, "file": TEXT, "line": COUNT},
}


def check(event: Any) -> None:
    """Raise ValueError unless event is one of the contract's, with exactly its members."""
    if not isinstance(event, dict) or event.get("type") not in SCHEMA:
        raise ValueError("unknown event type")
    wanted = {"type": TEXT, "seq": COUNT, "ts": NUMBER} | SCHEMA[event["type"]]
    if set(event) != set(wanted):
        raise ValueError(f"{event['type']}: members differ: {sorted(set(event) ^ set(wanted))}")
    for name, types in wanted.items():
        if type(event[name]) not in types:
            raise ValueError(f"{event['type']}.{name}: wrong type")


def decode(line: bytes) -> dict[str, Any]:
    """Decode one line as strictly as the control plane does."""
    if len(line) > MAX_LINE_BYTES:
        raise ValueError("line is too long")
    event: dict[str, Any] = json.loads(line)
    check(event)
    return event


class Channel:
    """The descriptor's owner. Training never waits for the reader: a queue feeds a writer thread."""

    def __init__(self, fd: int, on_stop: Callable[[], None]) -> None:
        """on_stop is called, perhaps from another thread, when a stop is asked for or nobody listens."""
        os.fstat(fd)  # fail now, not silently later, if the descriptor was not inherited
        self._fd = fd
        self._on_stop = on_stop
        self._queue: queue.Queue[bytes | None] = queue.Queue()
        self._seq = 0
        self._ended = False
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._writer = threading.Thread(target=self._write_loop, daemon=True)
        self._writer.start()
        threading.Thread(target=self._heartbeat_loop, daemon=True).start()
        threading.Thread(target=self._read_loop, daemon=True).start()

    def emit(self, kind: str, *, droppable: bool = False, **members: Any) -> None:
        """Queue one event. ValueError if it does not keep to the contract."""
        if droppable and self._queue.qsize() > SOFT_LIMIT:
            return
        with self._lock:
            if self._ended:  # a heartbeat that comes after the end would break the stream
                return
            event = {"type": kind, "seq": self._seq + 1, "ts": round(time.time(), 3), **members}
            check(event)
            line = json.dumps(event, separators=(",", ":"), allow_nan=False).encode() + b"\n"
            if len(line) > MAX_LINE_BYTES:
                raise ValueError(f"{kind}: line is too long")
            self._seq += 1
            self._ended = kind in FINAL
            self._queue.put(line)

    def close(self) -> None:
        """Write what is queued, then stop."""
        self._closed.set()
        self._queue.put(None)
        self._writer.join(timeout=CLOSE_TIMEOUT_S)

    def _write_loop(self) -> None:
        while (data := self._queue.get()) is not None:
            try:
                while data:
                    data = data[os.write(self._fd, data) :]
            except OSError:  # the control plane has gone, and with it the reason to go on
                self._on_stop()
                return

    def _heartbeat_loop(self) -> None:
        while not self._closed.wait(HEARTBEAT_S):
            self.emit("heartbeat", droppable=True, rss_peak_mb=peak_rss_mb())

    def _read_loop(self) -> None:
        """Obey {"cmd":"stop"}; ignore what is not understood. A write-only pipe gives no commands."""
        buffer = b""
        try:
            while chunk := os.read(self._fd, MAX_COMMAND_BYTES):
                *lines, buffer = (buffer + chunk).split(b"\n")
                if any(_is_stop(line) for line in lines):
                    self._on_stop()
                if len(buffer) > MAX_COMMAND_BYTES:
                    return
        except OSError:
            return


def _is_stop(line: bytes) -> bool:
    try:
        return bool(json.loads(line) == {"cmd": "stop"})
    except (ValueError, RecursionError):
        return False


def peak_rss_mb() -> int:
    """Largest resident set of this process so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
