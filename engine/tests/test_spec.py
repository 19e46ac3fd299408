from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cloister_engine.failures import InternalError
from cloister_engine.spec import COMMANDS, Train, load
from conftest import GOLDEN, parse

MINIMAL: dict[str, Any] = {"output": "/o", "threads": 1}


@pytest.mark.parametrize("command", COMMANDS)
def test_the_control_planes_specifications_are_understood(command: str) -> None:
    spec = load(command, GOLDEN / "specs" / f"{command}.json")
    assert isinstance(spec, COMMANDS[command])
    if isinstance(spec, Train):
        assert spec.validation_files == (Path("/scratch/data/validation-0.jsonl"),)
        assert (spec.learning_rate, spec.lora_rank, spec.seed) == (0.0002, 8, 2**32 - 1)


def test_every_golden_specification_has_a_command() -> None:
    assert {path.stem for path in (GOLDEN / "specs").iterdir()} == set(COMMANDS)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"method": "qlora"}, "method must be one of"),
        ({"task": "x"}, "task must be one of"),
        ({"epochs": 0}, "epochs must be between"),
        ({"epochs": True}, "epochs has the wrong type"),
        ({"epochs": 1.0}, "epochs has the wrong type"),
        ({"seed": 2**32}, "seed must be between"),
        ({"base": "relative"}, "base must be an absolute path"),
        ({"learning_rate": float("inf")}, "learning_rate has the wrong type"),
        ({"validation_files": "/x"}, "must be a list"),
        ({"validation_files": ["/x"] * 11}, "validation files must be between"),
        ({"threads": 0}, "threads must be between"),
        ({"surprise": 1}, "unknown keys"),
        ({"version": 2}, "version must be 1"),
        ({"command": "check"}, "another command"),
    ],
)
def test_faults(train_spec: dict[str, Any], change: dict[str, Any], text: str) -> None:
    with pytest.raises(InternalError, match=text):
        parse("train", train_spec | change)


def test_missing_member(train_spec: dict[str, Any]) -> None:
    del train_spec["task"]
    with pytest.raises(InternalError, match="task is missing"):
        parse("train", train_spec)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"prompts_file": "/p"},
        {"records_file": "/r", "output": "/o"},
        {"records_file": "/r", "adapter": "/a", "model": "/m"},
    ],
)
def test_evaluate_needs_a_sense(change: dict[str, Any]) -> None:
    with pytest.raises(InternalError):
        parse("evaluate", {"base": "/b", "threads": 1} | change)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"version":1,"version":1}', "[" * 100_000, '{"version":1}'])
def test_files_that_are_no_specification(tmp_path: Path, text: str) -> None:
    path = tmp_path / "spec.json"
    path.write_text(text)
    with pytest.raises(InternalError):
        load("make-tiny", path)


def test_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "spec.json"
    path.write_text(json.dumps({"version": 1, "command": "make-tiny", **MINIMAL}))
    assert load("make-tiny", path).threads == 1
