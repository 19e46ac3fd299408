from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from cloister_engine.failures import DataError, Stopped
from cloister_engine.records import Renderer
from cloister_engine.run import dispatch
from cloister_engine.stop import StopFlag
from conftest import Recorder, pairs, parse, write_jsonl


def spec(tiny: Path, tmp_path: Path, **change: Any) -> dict[str, Any]:
    prompts = [{"prompt": record["prompt"]} for record in pairs(7)]
    return {
        "base": str(tiny),
        "prompts_file": str(write_jsonl(tmp_path / "p.jsonl", prompts)),
        "output": str(tmp_path / "out" / "answers.jsonl"),
        "threads": 2,
        "max_new_tokens": 6,
        "batch_size": 3,
    } | change


def test_answers_are_greedy_and_in_order(tiny: Path, tmp_path: Path, model: Any, tokenizer: Any) -> None:
    """Batches and padding change nothing: each answer is that of a plain loop over one prompt."""
    channel = Recorder()
    dispatch(parse("evaluate", spec(tiny, tmp_path)), channel, StopFlag())
    answers = [json.loads(line) for line in (tmp_path / "out" / "answers.jsonl").read_text().splitlines()]
    assert [answer["index"] for answer in answers] == list(range(7))
    renderer = Renderer(tokenizer)
    model.eval()
    for record, answer in zip(pairs(7), answers, strict=True):
        ids = renderer.prompt(record["prompt"])
        want: list[int] = []
        for _ in range(6):
            with torch.inference_mode():
                want.append(int(model(input_ids=torch.tensor([ids + want])).logits[0, -1].argmax()))
            if want[-1] == renderer.eos:
                break
        ended = want[-1] == renderer.eos
        want = want[:-1] if ended else want
        assert answer["text"] == tokenizer.decode(want, skip_special_tokens=True)
        assert (answer["tokens"], answer["ended"]) == (len(want), ended)
    assert [event["done"] for event in channel.of("progress")] == [3, 6, 7]
    assert channel.of("measured")[0]["prompts"] == 7


def test_prompt_over_the_limit(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        dispatch(parse("evaluate", spec(tiny, tmp_path, max_length=25)), Recorder(), StopFlag())
    assert caught.value.file == "prompts"
    assert caught.value.line > 1


def test_stop(tiny: Path, tmp_path: Path) -> None:
    stop, channel = StopFlag(), Recorder()
    channel.hook = lambda event: stop.set() if event["type"] == "progress" else None
    with pytest.raises(Stopped):
        dispatch(parse("evaluate", spec(tiny, tmp_path)), channel, stop)
    assert len(channel.of("progress")) == 1
    assert not (tmp_path / "out" / "answers.jsonl").exists()
