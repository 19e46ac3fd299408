"""The callback that turns Trainer's progress into events."""

from __future__ import annotations

import math
import time
from typing import Any

from transformers import TrainerCallback

from .events import Channel, peak_rss_mb
from .failures import NonFiniteError
from .loss import evaluate_rows
from .preflight import Data
from .stop import StopFlag


class Reporter(TrainerCallback):  # type: ignore[misc]
    """Reports steps, evaluates at the end of each epoch, ends training on a stop or a non-finite loss."""

    def __init__(self, channel: Channel, stop: StopFlag, data: Data, pad: int) -> None:
        self.channel, self.stop, self.data, self.pad = channel, stop, data, pad
        self.steps = 0
        self.loss_last = self.loss_sum = 0.0
        self._tokens = self._tokens_before = 0
        self._mark = time.monotonic()
        self._average: float | None = None

    def count_tokens(self, tokens: int) -> None:
        """Called for each micro-batch, before its forward pass."""
        self._tokens += tokens

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        self._mark = time.monotonic()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if self.stop.asked:
            control.should_training_stop = True

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any) -> None:
        if logs is None or "loss" not in logs or "grad_norm" not in logs:
            return  # the summary at the end of training
        step = state.global_step - 1
        loss, norm = float(logs["loss"]), float(logs["grad_norm"])
        if not (math.isfinite(loss) and math.isfinite(norm)):
            raise NonFiniteError(f"at step {step} the loss or its gradient is not a number: lower the learning rate")
        now = time.monotonic()
        seconds = max(1e-6, now - self._mark)
        self._average = seconds if self._average is None else 0.8 * self._average + 0.2 * seconds
        self.steps = self.stop.steps = step + 1
        self.loss_last, self.loss_sum = loss, self.loss_sum + loss
        self.channel.emit(
            "step",
            step=step,
            max_steps=state.max_steps,
            epoch=step // self.data.steps_per_epoch,
            loss=loss,
            lr=float(logs["learning_rate"]),
            grad_norm=norm,
            tokens_total=self._tokens,
            tok_s=round((self._tokens - self._tokens_before) / seconds, 1),
            eta_s=round((state.max_steps - step - 1) * self._average, 1),
            rss_peak_mb=peak_rss_mb(),
        )
        self._mark, self._tokens_before = now, self._tokens

    def on_epoch_end(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        if not self.data.validation or self.stop.asked:
            return
        begin = time.monotonic()
        sums = [evaluate_rows(model, rows, self.pad, self.stop.check) for rows in self.data.validation]
        tokens = sum(count for _, count in sums)
        self.channel.emit(
            "evaluation",
            step=state.global_step - 1,
            epoch=(state.global_step - 1) // self.data.steps_per_epoch,
            loss=sum(total for total, _ in sums) / tokens,
            label_tokens=tokens,
            files=[{"loss": total / count, "label_tokens": count} for total, count in sums],
            seconds=round(time.monotonic() - begin, 2),
        )
        self._mark = time.monotonic()
