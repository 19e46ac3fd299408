"""The loss over labelled tokens, for training and for evaluation.

Only positions that carry a label are projected to the vocabulary. On a CPU that is a third to a half of
the time of a small model with short answers; the value is that of the full computation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from .failures import NonFiniteError
from .records import IGNORE, Row

TOKENS_PER_PASS = 1024
"""Tokens of one forward pass, unless a single record is longer: bounds activations, about 3 MB per token for
a model of 135 M parameters (measured)."""


def collate(rows: Sequence[Row], pad: int) -> dict[str, torch.Tensor]:
    """Pad rows on the right to the longest."""
    width = max(len(row.input_ids) for row in rows)

    def block(values: list[list[int]], fill: int) -> torch.Tensor:
        return torch.tensor([v + [fill] * (width - len(v)) for v in values])

    return {
        "input_ids": block([row.input_ids for row in rows], pad),
        "attention_mask": block([[1] * len(row.input_ids) for row in rows], 0),
        "labels": block([row.labels for row in rows], IGNORE),
    }


def label_loss_sum(model: Any, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """Sum of the cross entropy over the labelled tokens of a batch."""
    labels = batch["labels"][:, 1:]
    columns = (labels != IGNORE).any(dim=0).nonzero().flatten()
    outputs = model(
        input_ids=batch["input_ids"],
        attention_mask=batch["attention_mask"],
        use_cache=False,
        logits_to_keep=columns,
    )
    logits = outputs.logits.flatten(0, 1).float()
    return cross_entropy(logits, labels[:, columns].flatten(), ignore_index=IGNORE, reduction="sum")


def batches(rows: Sequence[Row]) -> list[list[Row]]:
    """Rows grouped by length, so that little is padding; a batch holds at most TOKENS_PER_PASS tokens or one row."""
    result: list[list[Row]] = []
    for row in sorted(rows, key=lambda r: len(r.input_ids)):
        if result and (len(result[-1]) + 1) * len(row.input_ids) <= TOKENS_PER_PASS:
            result[-1].append(row)
        else:
            result.append([row])
    return result


def evaluate_rows(model: Any, rows: Sequence[Row], pad: int, pause: Callable[[], None]) -> tuple[float, int]:
    """Sum of the loss and number of label tokens; pause is called between batches and may raise."""
    training = model.training
    model.eval()
    total, tokens = 0.0, 0
    try:
        with torch.inference_mode():
            for group in batches(rows):
                pause()
                total += float(label_loss_sum(model, collate(group, pad)))
                tokens += sum(label != IGNORE for row in group for label in row.labels[1:])
    finally:
        model.train(training)
    if not torch.isfinite(torch.tensor(total)):
        raise NonFiniteError("the evaluation loss is not a number")
    return total, tokens


def micro_batch(batch_size: int, longest: int) -> int:
    """Largest divisor of batch_size whose rows fit into one pass."""
    fits = max(1, TOKENS_PER_PASS // max(1, longest))
    return max(n for n in range(1, min(batch_size, fits) + 1) if batch_size % n == 0)
