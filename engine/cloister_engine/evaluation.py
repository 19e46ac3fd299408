"""Greedy answers and token-mean loss of a base or a custom model: the same measure before and after."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from transformers import StoppingCriteria, StoppingCriteriaList

from .events import Channel
from .failures import DataError
from .loading import load_adapter, load_model, load_tokenizer
from .loss import evaluate_rows
from .records import PROMPTS, Renderer, Row, build_rows, read_jsonl
from .spec import Evaluate
from .stop import StopFlag


def evaluate(spec: Evaluate, channel: Channel, stop: StopFlag) -> dict[str, int]:
    """Measure, report, and return the files written: name to bytes."""
    directory = spec.model or spec.base
    renderer = Renderer(load_tokenizer(directory))
    prompts: list[list[int]] = []
    if spec.prompts_file is not None:
        prompts = read_prompts(renderer, spec)
    rows: list[Row] = []
    records = 0
    if spec.records_file is not None:
        rows, report = build_rows(renderer, spec.records_file, spec.task, "records", spec.max_length, stop.check)
        records = report.rows
    stop.check()
    model = load_model(directory)
    if spec.adapter is not None:
        model = load_adapter(model, spec.adapter)
    model.eval()
    total, tokens = evaluate_rows(model, rows, renderer.tokenizer.pad_token_id, stop.check) if rows else (0.0, 0)
    files = {}
    if spec.output is not None:
        files = {spec.output.name: answer(spec, model, renderer, prompts, channel, stop)}
    channel.emit("measured", loss=total / max(1, tokens), label_tokens=tokens, records=records, prompts=len(prompts))
    return files


def read_prompts(renderer: Renderer, spec: Evaluate) -> list[list[int]]:
    """Render the prompts file. A prompt that leaves no room for an answer is a DataError."""
    assert spec.prompts_file is not None
    prompts = []
    for number, record in enumerate(read_jsonl(spec.prompts_file, PROMPTS, "prompts"), 1):
        ids = renderer.prompt(record["prompt"])
        if len(ids) > spec.max_length:
            raise DataError(f"the prompt is longer than {spec.max_length} tokens", file="prompts", line=number)
        prompts.append(ids)
    return prompts


def answer(
    spec: Evaluate, model: Any, renderer: Renderer, prompts: list[list[int]], channel: Channel, stop: StopFlag
) -> int:
    """Generate greedily, longest prompts first, and write one JSON line per prompt, in the order of the file."""
    assert spec.output is not None
    answers: dict[int, dict[str, Any]] = {}
    order = sorted(range(len(prompts)), key=lambda i: -len(prompts[i]))
    for start in range(0, len(order), spec.batch_size):
        stop.check()
        chosen = order[start : start + spec.batch_size]
        generated = _generate(spec, model, renderer, [prompts[i] for i in chosen], stop)
        for index, ids in zip(chosen, generated, strict=True):
            ended = renderer.eos in ids
            ids = ids[: ids.index(renderer.eos)] if ended else ids
            text = renderer.tokenizer.decode(ids, skip_special_tokens=True)
            answers[index] = {"index": index, "text": text, "tokens": len(ids), "ended": ended}
        channel.emit("progress", droppable=True, done=len(answers), total=len(prompts))
    return _write(spec.output, [answers[i] for i in range(len(prompts))])


def _generate(
    spec: Evaluate, model: Any, renderer: Renderer, prompts: list[list[int]], stop: StopFlag
) -> list[list[int]]:
    pad = renderer.tokenizer.pad_token_id
    width = max(len(ids) for ids in prompts)
    with torch.inference_mode():
        output = model.generate(
            input_ids=torch.tensor([[pad] * (width - len(ids)) + ids for ids in prompts]),
            attention_mask=torch.tensor([[0] * (width - len(ids)) + [1] * len(ids) for ids in prompts]),
            max_new_tokens=spec.max_new_tokens,
            do_sample=False,
            num_beams=1,
            pad_token_id=pad,
            eos_token_id=renderer.eos,
            stopping_criteria=StoppingCriteriaList([_StopAsked(stop)]),
        )
    stop.check()
    result: list[list[int]] = output[:, width:].tolist()
    return result


class _StopAsked(StoppingCriteria):  # type: ignore[misc]
    def __init__(self, stop: StopFlag) -> None:
        self.stop = stop

    def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:
        return torch.full((input_ids.shape[0],), self.stop.asked, dtype=torch.bool)


def _write(path: Path, answers: list[dict[str, Any]]) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = b"".join(json.dumps(item, ensure_ascii=False).encode() + b"\n" for item in answers)
    path.write_bytes(data)
    return len(data)
