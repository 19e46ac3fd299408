from __future__ import annotations

import json
import math
import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from cloister_engine import loss
from cloister_engine.failures import DataError, NoEffectError, NonFiniteError, Stopped
from cloister_engine.run import dispatch
from cloister_engine.stop import StopFlag
from cloister_engine.training import assert_effect, digests, schedule
from conftest import Recorder, pairs, parse, write_jsonl


def run(command: str, spec: dict[str, Any], stop: StopFlag | None = None) -> Recorder:
    channel = Recorder()
    dispatch(parse(command, spec), channel, stop or StopFlag())
    return channel


@pytest.mark.parametrize("method", ["full", "lora"])
def test_a_job_learns_and_reports(train_spec: dict[str, Any], tmp_path: Path, tiny: Path, method: str) -> None:
    validation = [write_jsonl(tmp_path / f"v{i}.jsonl", pairs(3 + i, 20)) for i in range(2)]
    train_spec |= {"method": method, "epochs": 3, "validation_files": [str(path) for path in validation]}
    channel = run("train", train_spec)

    assert [event["file"] for event in channel.of("preflight")] == ["train", "validation-0", "validation-1"]
    assert channel.of("preflight")[0]["steps"] == 9
    steps = channel.of("step")
    assert [(s["step"], s["epoch"], s["max_steps"]) for s in steps] == [(i, i // 3, 9) for i in range(9)]
    assert [s["tokens_total"] for s in steps][-1] == 3 * channel.of("preflight")[0]["tokens"]
    assert steps[-1]["loss"] < steps[0]["loss"]
    assert [(e["step"], e["epoch"]) for e in channel.of("evaluation")] == [(2, 0), (5, 1), (8, 2)]
    done = channel.of("completed")[0]
    assert done["loss_last"] == steps[-1]["loss"]
    assert done["loss_mean"] == pytest.approx(sum(s["loss"] for s in steps) / 9)
    assert done["trainable"] == channel.of("started")[0]["trainable"]
    weights = "model.safetensors" if method == "full" else "adapter_model.safetensors"
    output = Path(train_spec["output"])
    assert {path.name: path.stat().st_size for path in output.iterdir()} == done["files"]
    assert weights in done["files"]
    assert {path.suffix for path in output.iterdir()} <= {".safetensors", ".json", ".jinja"}
    assert all(path.stat().st_mode & 0o777 == 0o644 for path in output.iterdir())
    if method == "lora":
        assert set(done["files"]) == {"adapter_model.safetensors", "adapter_config.json"}
        config = json.loads((output / "adapter_config.json").read_bytes())
        assert (config["r"], config["lora_alpha"], config["lora_dropout"]) == (16, 32, 0.0)

    # the same evaluator measures the artifact: the loss is that of the last evaluation
    custom = {"model": str(output)} if method == "full" else {"adapter": str(output)}
    spec = {"base": str(tiny), "records_file": str(validation[1]), "threads": 2, "max_length": 128} | custom
    measured = run("evaluate", spec).of("measured")[0]
    last = channel.of("evaluation")[-1]
    assert measured["loss"] == pytest.approx(last["files"][1]["loss"], abs=1e-5)
    weighted = sum(f["loss"] * f["label_tokens"] for f in last["files"]) / last["label_tokens"]
    assert last["loss"] == pytest.approx(weighted)
    assert last["loss"] != pytest.approx(sum(f["loss"] for f in last["files"]) / 2, abs=1e-6)


def test_pre_training(train_spec: dict[str, Any], tmp_path: Path) -> None:
    documents = [{"input": "We the People of the United States, in Order to form a more perfect Union"}] * 4
    train_spec |= {"task": "continued-pre-training", "epochs": 2, "batch_size": 2}
    train_spec["train_file"] = str(write_jsonl(tmp_path / "d.jsonl", documents))
    channel = run("train", train_spec)
    assert channel.of("preflight")[0]["duplicates"] == 3
    assert channel.of("step")[-1]["loss"] < channel.of("step")[0]["loss"]


def test_micro_batches_do_not_change_the_result(train_spec: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    losses = []
    for tokens in (1 << 20, 1):
        monkeypatch.setattr(loss, "TOKENS_PER_PASS", tokens)
        channel = run("train", train_spec)
        assert channel.of("started")[0]["micro_batch"] == (4 if tokens > 1 else 1)
        losses.append([step["loss"] for step in channel.of("step")])
    assert losses[0] == pytest.approx(losses[1], abs=2e-4)


def test_step_loss_is_the_token_mean_of_the_whole_batch(train_spec: dict[str, Any], model: Any, tokenizer: Any) -> None:
    from cloister_engine.records import Renderer

    channel = run("train", train_spec | {"batch_size": 12})
    renderer = Renderer(tokenizer)
    total, tokens = loss.evaluate_rows(model, [renderer.row(record) for record in pairs(12)], 0, lambda: None)
    assert channel.of("step")[0]["loss"] == pytest.approx(total / tokens, abs=1e-4)


def test_a_last_batch_that_is_not_full(train_spec: dict[str, Any]) -> None:
    channel = run("train", train_spec | {"batch_size": 5, "epochs": 2})
    assert [(s["step"], s["epoch"]) for s in channel.of("step")] == [(i, i // 3) for i in range(6)]


def test_one_step_with_a_warm_up_learns(train_spec: dict[str, Any]) -> None:
    channel = run("train", train_spec | {"batch_size": 12, "warmup_steps": 5})
    assert channel.of("step")[0]["lr"] == pytest.approx(1e-3 / 6)
    assert channel.of("completed")


def test_schedule() -> None:
    factor = schedule(4, 12)
    values = [factor(step) for step in range(12)]
    assert values[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert values[8] == pytest.approx(0.5)
    assert all(a > b for a, b in pairwise(values[4:]))
    assert min(values) > 0


def test_check_counts_and_trains_nothing(train_spec: dict[str, Any]) -> None:
    spec = {key: train_spec[key] for key in ("base", "train_file", "task", "epochs", "batch_size", "max_length")}
    channel = run("check", spec | {"threads": 1})
    assert [event["type"] for event in channel.seen] == ["preflight", "completed"]
    assert channel.of("preflight") == run("train", train_spec).of("preflight")


def test_a_poor_loss_completes(train_spec: dict[str, Any]) -> None:
    channel = run("train", train_spec | {"learning_rate": 0.3, "warmup_steps": 0})
    steps = channel.of("step")
    assert steps[-1]["loss"] > steps[0]["loss"]
    assert channel.of("completed")


@pytest.mark.parametrize("method", ["full", "lora"])
def test_no_effect(train_spec: dict[str, Any], method: str) -> None:
    with pytest.raises(NoEffectError):
        run("train", train_spec | {"learning_rate": 0.0, "method": method})
    assert not Path(train_spec["output"]).exists() or not list(Path(train_spec["output"]).iterdir())


def damaged(tiny: Path, to: Path, name: str, value: float) -> Path:
    shutil.copytree(tiny, to)
    weights = load_file(to / "model.safetensors")
    weights[name].view(-1)[0] = value
    save_file(weights, to / "model.safetensors", metadata={"format": "pt"})
    return to


def test_a_loss_that_is_no_number(train_spec: dict[str, Any], tiny: Path, tmp_path: Path) -> None:
    base = damaged(tiny, tmp_path / "base", "model.norm.weight", math.inf)
    with pytest.raises(NonFiniteError, match="step 0"):
        run("train", train_spec | {"base": str(base)})


def test_a_weight_that_is_no_number(model: Any) -> None:
    before = digests(model)
    with torch.no_grad():
        model.model.norm.weight[0] = math.nan
    with pytest.raises(NonFiniteError, match=r"model\.norm\.weight"):
        assert_effect(model, before)


def test_one_changed_tensor_is_an_effect(model: Any) -> None:
    before = digests(model)
    with pytest.raises(NoEffectError):
        assert_effect(model, before)
    with torch.no_grad():
        model.model.norm.weight[0] += 1e-6
    assert_effect(model, before)


def test_stop_during_training(train_spec: dict[str, Any]) -> None:
    stop, channel = StopFlag(), Recorder()
    channel.hook = lambda event: stop.set() if event["type"] == "step" and event["step"] == 1 else None
    with pytest.raises(Stopped):
        dispatch(parse("train", train_spec | {"epochs": 50}), channel, stop)
    assert len(channel.of("step")) <= 3
    assert stop.steps == len(channel.of("step"))
    assert not list(Path(train_spec["output"]).glob("*.safetensors"))


def test_stop_before_training(train_spec: dict[str, Any]) -> None:
    stop, channel = StopFlag(), Recorder()
    stop.set()
    with pytest.raises(Stopped):
        dispatch(parse("train", train_spec), channel, stop)
    assert channel.seen == []


def test_data_failure_names_the_validation_file(train_spec: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "v.jsonl"
    path.write_text('{"prompt":"a","completion":"b"}\n\n')
    with pytest.raises(DataError) as caught:
        run("train", train_spec | {"validation_files": [str(path)]})
    assert (caught.value.file, caught.value.line) == ("validation-0", 2)
