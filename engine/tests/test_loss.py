from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from cloister_engine import loss
from cloister_engine.failures import NonFiniteError
from cloister_engine.records import IGNORE, Renderer, Row
from conftest import pairs


@pytest.fixture
def rows(tokenizer: Any) -> list[Row]:
    renderer = Renderer(tokenizer)
    return [renderer.row(record) for record in pairs(7)] + [renderer.document("We the People of the United States")]


def test_equals_the_models_own_loss(model: Any, rows: list[Row]) -> None:
    batch = loss.collate(rows, 0)
    own = model(**batch).loss.item()  # Hugging Face's: every position projected, mean over labels
    labels = int((batch["labels"][:, 1:] != IGNORE).sum())
    assert loss.label_loss_sum(model, batch).item() / labels == pytest.approx(own, abs=1e-5)


def test_gradients_equal_those_of_the_models_own_loss(model: Any, rows: list[Row]) -> None:
    batch = loss.collate(rows, 0)
    labels = int((batch["labels"][:, 1:] != IGNORE).sum())
    gradients = []
    for value in (model(**batch).loss, loss.label_loss_sum(model, batch) / labels):
        model.zero_grad()
        value.backward()
        gradients.append({name: p.grad.clone() for name, p in model.named_parameters()})
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, atol=1e-5, rtol=1e-4)


def test_evaluation_is_the_token_mean(model: Any, rows: list[Row]) -> None:
    """Against brute force: one record at a time, one token at a time, no padding."""
    total, tokens = 0.0, 0
    model.eval()
    with torch.inference_mode():
        for row in rows:
            logp = model(input_ids=torch.tensor([row.input_ids])).logits[0].log_softmax(-1)
            for i, label in enumerate(row.labels[1:]):
                if label != IGNORE:
                    total -= logp[i, label].item()
                    tokens += 1
    got_total, got_tokens = loss.evaluate_rows(model, rows, 0, lambda: None)
    assert got_tokens == tokens
    assert got_total / got_tokens == pytest.approx(total / tokens, abs=1e-5)


def test_evaluation_does_not_depend_on_the_batches(
    model: Any, rows: list[Row], monkeypatch: pytest.MonkeyPatch
) -> None:
    together, _ = loss.evaluate_rows(model, rows, 0, lambda: None)
    monkeypatch.setattr(loss, "TOKENS_PER_PASS", 1)
    assert all(len(group) == 1 for group in loss.batches(rows))
    alone, _ = loss.evaluate_rows(model, rows, 0, lambda: None)
    assert alone == pytest.approx(together, abs=1e-3)


def test_evaluation_restores_the_mode_and_can_be_stopped(model: Any, rows: list[Row]) -> None:
    def pause() -> None:
        raise KeyError("stop")

    model.train()
    with pytest.raises(KeyError):
        loss.evaluate_rows(model, rows, 0, pause)
    assert model.training


def test_evaluation_refuses_what_is_no_number(model: Any, rows: list[Row]) -> None:
    with torch.no_grad():
        model.model.norm.weight.fill_(math.inf)
    with pytest.raises(NonFiniteError):
        loss.evaluate_rows(model, rows, 0, lambda: None)


@pytest.mark.parametrize(
    ("batch", "longest", "want"),
    [(1, 10, 1), (4, 128, 4), (8, 128, 8), (16, 128, 8), (6, 300, 3), (7, 300, 1), (4, 5000, 1), (64, 16, 64)],
)
def test_micro_batch(batch: int, longest: int, want: int) -> None:
    assert loss.micro_batch(batch, longest) == want
    assert batch % want == 0
