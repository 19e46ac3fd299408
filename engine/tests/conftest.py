"""A generated tiny Llama, and two ways to run the engine on it: in this process, and as the control plane does."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cloister_engine import environment, events

environment.prepare(2)
environment.configure_torch(2)

ENGINE = Path(__file__).resolve().parents[1]
GOLDEN = ENGINE.parent / "internal" / "engine" / "testdata"
MARKER = "zebra-4711-quartz"
"""Planted in data; must be nowhere but in the data and the answers."""


class Recorder(events.Channel):
    """A channel that keeps its events, held to the contract like real ones."""

    def __init__(self) -> None:
        self.seen: list[dict[str, Any]] = []
        self.hook: Callable[[dict[str, Any]], None] = lambda _: None

    def emit(self, kind: str, *, droppable: bool = False, **members: Any) -> None:
        event = {"type": kind, "seq": len(self.seen) + 1, "ts": 1.0, **members}
        events.check(event)
        self.seen.append(event)
        self.hook(event)

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.seen if event["type"] == kind]


@dataclass
class Finished:
    code: int
    events: list[dict[str, Any]]
    log: str

    @property
    def last(self) -> dict[str, Any]:
        return self.events[-1]


def run_process(
    command: str,
    spec: dict[str, Any],
    work: Path,
    *,
    on_event: Callable[[dict[str, Any], socket.socket, int], None] = lambda *_: None,
    prelude: str = "",
) -> Finished:
    """Start the engine with descriptor 3, feed it a specification, read its events strictly."""
    path = work / "spec.json"
    path.write_text(json.dumps({"version": 1, "command": command, **spec}))
    ours, theirs = socket.socketpair()
    fd = theirs.fileno()
    move = f"import os, sys\nif {fd} != 3:\n    os.dup2({fd}, 3)\n    os.close({fd})\n"
    code = f"{move}{prelude}\nfrom cloister_engine.__main__ import main\nsys.exit(main(sys.argv[1:]))"
    with open(work / "log", "wb") as log, ours:
        process = subprocess.Popen(
            [sys.executable, "-c", code, command, str(path)],
            pass_fds=[fd],
            stdout=log,
            stderr=log,
            cwd=work,
            env={
                "PYTHONPATH": str(ENGINE),
                "PYTHONDONTWRITEBYTECODE": "1",
                "PATH": os.environ["PATH"],
                "HOME": str(work),
                "TMPDIR": str(work),
            },
        )
        theirs.close()
        seen = []
        with ours.makefile("rb") as stream:
            for line in stream:
                seen.append(events.decode(line))
                on_event(seen[-1], ours, process.pid)
        process.wait(timeout=60)
    assert [event["seq"] for event in seen] == list(range(1, len(seen) + 1))
    return Finished(process.returncode, seen, (work / "log").read_text())


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from cloister_engine.spec import MakeTiny
    from cloister_engine.tiny import make_tiny

    output = tmp_path_factory.mktemp("tiny")
    make_tiny(MakeTiny(output=output, threads=2), Recorder())
    return output


@pytest.fixture(scope="session")
def tokenizer(tiny: Path) -> Any:
    from cloister_engine.loading import load_tokenizer

    return load_tokenizer(tiny)


@pytest.fixture
def model(tiny: Path) -> Any:
    from cloister_engine.loading import load_model

    return load_model(tiny)


def write_jsonl(path: Path, records: list[dict[str, Any]]) -> Path:
    path.write_bytes(b"".join(json.dumps(record).encode() + b"\n" for record in records))
    return path


def pairs(count: int, start: int = 0) -> list[dict[str, Any]]:
    """Records of different lengths, with answers of different lengths."""
    return [
        {"prompt": f"Is {i} even? " + "Think. " * (i % 4), "completion": "yes" if i % 2 == 0 else "no, it is odd"}
        for i in range(start, start + count)
    ]


@pytest.fixture
def train_spec(tiny: Path, tmp_path: Path) -> dict[str, Any]:
    """A job of 12 records; tests change it."""
    return {
        "base": str(tiny),
        "train_file": str(write_jsonl(tmp_path / "train.jsonl", pairs(12))),
        "output": str(tmp_path / "output"),
        "task": "fine-tuning",
        "method": "full",
        "epochs": 1,
        "batch_size": 4,
        "learning_rate": 1e-3,
        "warmup_steps": 1,
        "max_length": 128,
        "seed": 7,
        "threads": 2,
    }


def parse(command: str, spec: dict[str, Any]) -> Any:
    from cloister_engine.spec import parse as parse_spec

    return parse_spec(command, {"version": 1, "command": command, **spec})
