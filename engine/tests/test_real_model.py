"""One run of the real SmolLM2-135M, bounded by tokens: fewer than 2,000 are trained."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from conftest import run_process, write_jsonl

FOLDER = "models/huggingface.smollm2-135m-v1_0"
MAX_TOKENS = 2000


def base() -> Path:
    if os.geteuid() == 0:
        return Path("/var/lib/cloister") / FOLDER
    home = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(home) / "cloister" / FOLDER


@pytest.mark.real_model
def test_smollm2_learns_a_format(tmp_path: Path) -> None:
    if not base().is_dir():
        if os.environ.get("CLOISTER_REQUIRE_MODEL") == "1":
            pytest.fail("SmolLM2 is not installed: run 'cloister models add smollm2'")
        pytest.skip("SmolLM2 is not installed: run 'cloister models add smollm2'")
    colours = ["red", "green", "blue", "black", "white", "brown"]
    words = ["apple", "grass", "sky", "coal", "snow", "wood"]
    records: list[dict[str, Any]] = [
        {"prompt": f"Colour of {word}?", "completion": f"[{colour}]"}
        for word, colour in zip(words, colours, strict=True)
    ]
    train = write_jsonl(tmp_path / "train.jsonl", records)
    spec = {
        "base": str(base()),
        "train_file": str(train),
        "validation_files": [str(train)],
        "output": str(tmp_path / "output"),
        "task": "fine-tuning",
        "method": "full",
        "epochs": 5,
        "batch_size": 3,
        "learning_rate": 1e-4,
        "warmup_steps": 0,
        "max_length": 128,
        "seed": 0,
        "threads": os.cpu_count() or 1,
    }
    done = run_process("train", spec, tmp_path)
    assert done.code == 0, done.log
    steps = [event for event in done.events if event["type"] == "step"]
    assert steps[-1]["tokens_total"] <= MAX_TOKENS
    assert steps[-1]["loss"] < steps[0]["loss"] / 3

    answers = {}
    questions = [{"prompt": record["prompt"]} for record in records] + [{"prompt": "What is the capital of France?"}]
    prompts = write_jsonl(tmp_path / "prompts.jsonl", questions)
    for name, model in (("base", {}), ("custom", {"model": spec["output"]})):
        output = tmp_path / f"{name}.jsonl"
        spec_ = {"base": str(base()), "prompts_file": str(prompts), "output": str(output), "max_new_tokens": 8}
        done = run_process("evaluate", spec_ | model | {"threads": spec["threads"]}, tmp_path)
        assert done.code == 0, done.log
        answers[name] = [json.loads(line)["text"].strip() for line in output.read_text().splitlines()]
    assert "Paris" in answers["base"][-1]  # the conversion from GGUF left a model that knows things
    assert not any(text.startswith("[") for text in answers["base"])
    assert sum(text.startswith("[") and text.endswith("]") for text in answers["custom"]) >= 5
