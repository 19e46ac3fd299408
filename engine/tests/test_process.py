from __future__ import annotations

import ast
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cloister_engine.failures import EXIT_CODES
from conftest import ENGINE, MARKER, Finished, pairs, run_process, write_jsonl

BAN = """
import socket
def banned(*args, **kwargs):
    raise AssertionError("network use")
socket.socket.connect = socket.socket.connect_ex = socket.socket.bind = socket.socket.sendto = banned
socket.getaddrinfo = socket.gethostbyname = socket.create_connection = banned
"""


@pytest.mark.parametrize("method", ["full", "lora"])
def test_same_seed_same_bytes_without_network_or_traces(
    train_spec: dict[str, Any], tmp_path: Path, method: str
) -> None:
    records = [{"prompt": MARKER + record["prompt"], "completion": MARKER} for record in pairs(12)]
    write_jsonl(Path(train_spec["train_file"]), records)
    digests = []
    for i in range(2):
        work = tmp_path / f"run{i}"
        work.mkdir()
        done = run_process("train", train_spec | {"method": method, "output": str(work / "output")}, work, prelude=BAN)
        assert (done.code, done.last["type"]) == (0, "completed"), done.log
        assert MARKER not in json.dumps(done.events) + done.log
        for path in work.rglob("*"):
            if path.is_file():
                assert MARKER.encode() not in path.read_bytes(), path
        weights = next((work / "output").glob("*.safetensors"))
        digests.append(hashlib.sha256(weights.read_bytes()).hexdigest())
    assert digests[0] == digests[1]


def test_another_seed_other_bytes(train_spec: dict[str, Any], tmp_path: Path) -> None:
    from cloister_engine.run import dispatch
    from cloister_engine.stop import StopFlag
    from conftest import Recorder, parse

    digests = set()
    for seed in (1, 2):
        dispatch(parse("train", train_spec | {"seed": seed, "epochs": 2}), Recorder(), StopFlag())
        digests.add(hashlib.sha256((Path(train_spec["output"]) / "model.safetensors").read_bytes()).hexdigest())
    assert len(digests) == 2


@pytest.mark.parametrize("how", ["command", "signal", "silence"])
def test_stop(train_spec: dict[str, Any], tmp_path: Path, how: str) -> None:
    def on_event(event: dict[str, Any], ours: socket.socket, pid: int) -> None:
        if event["type"] != "step" or event["step"] > 0:
            return
        if how == "command":
            ours.sendall(b'{"cmd":"stop"}\n')
        elif how == "signal":
            os.kill(pid, signal.SIGTERM)
        else:
            ours.shutdown(socket.SHUT_RD)

    done = run_process("train", train_spec | {"epochs": 1000}, tmp_path, on_event=on_event)
    assert done.code == EXIT_CODES["stopped"]
    if how != "silence":
        assert done.last["type"] == "stopped"
        assert done.last["steps"] >= 1
    assert not list(tmp_path.glob("output/*.safetensors"))


def failed(done: Finished, reason: str) -> dict[str, Any]:
    assert done.last["type"] == "failed", done.log
    assert done.last["reason"] == reason
    assert done.code == EXIT_CODES[reason]
    return done.last


def test_data_failure(train_spec: dict[str, Any], tmp_path: Path) -> None:
    Path(train_spec["train_file"]).write_text(f'{{"prompt":"a","completion":"b"}}\n{{"prompt":"{MARKER}"}}\n')
    done = run_process("train", train_spec, tmp_path)
    event = failed(done, "data")
    assert (event["file"], event["line"]) == ("train", 2)
    assert MARKER not in json.dumps(done.events) + done.log


def test_unexpected_exception_shows_a_place_and_no_text(train_spec: dict[str, Any], tmp_path: Path) -> None:
    prelude = f"""
import cloister_engine.preflight as p
def broken(*args, **kwargs):
    raise RuntimeError({MARKER!r})
p.read_data = broken
"""
    spec = {key: train_spec[key] for key in ("base", "train_file", "task", "epochs", "batch_size", "max_length")}
    done = run_process("check", spec | {"threads": 1}, tmp_path, prelude=prelude)
    event = failed(done, "internal")
    assert event["message"].startswith("RuntimeError in ")
    assert MARKER not in json.dumps(done.events) + done.log


def test_out_of_memory(train_spec: dict[str, Any], tmp_path: Path) -> None:
    prelude = """
import resource
import cloister_engine.preflight as p
import torch
def hungry(*args, **kwargs):
    resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
    torch.empty(1 << 40)
p.read_data = hungry
"""
    spec = {key: train_spec[key] for key in ("base", "train_file", "task", "epochs", "batch_size", "max_length")}
    failed(run_process("check", spec | {"threads": 1}, tmp_path, prelude=prelude), "oom")


def test_a_broken_specification(tmp_path: Path) -> None:
    event = failed(run_process("make-tiny", {"output": "relative", "threads": 1}, tmp_path), "internal")
    assert "absolute path" in event["message"]


def engine(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cloister_engine", *args],
        env={"PYTHONPATH": str(ENGINE), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_wrong_command_line() -> None:
    for args in ((), ("train",), ("dance", "/spec.json")):
        done = engine(*args)
        assert (done.returncode, done.stderr.startswith("usage:")) == (64, True)


def test_descriptor_3_missing(tmp_path: Path) -> None:
    done = engine("make-tiny", str(tmp_path / "spec.json"))
    assert done.returncode == 1
    assert "descriptor 3" in done.stderr


def test_the_source_imports_nothing_that_talks_to_a_network() -> None:
    banned = {
        "socket",
        "ssl",
        "http",
        "urllib",
        "requests",
        "httpx",
        "ftplib",
        "smtplib",
        "pickle",
        "subprocess",
        "trl",
    }
    for path in (ENGINE / "cloister_engine").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not banned & {name.split(".")[0] for name in names}, path
