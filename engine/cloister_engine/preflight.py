"""What is known of the data before the first step; `check` stops there."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from .events import Channel
from .records import Renderer, Row, build_rows
from .spec import Check, Train
from .stop import StopFlag


@dataclass(frozen=True)
class Data:
    """The rows of a job."""

    train: list[Row]
    validation: list[list[Row]]
    steps_per_epoch: int
    train_longest: int


def read_data(spec: Train | Check, tokenizer: Any, channel: Channel, stop: StopFlag) -> Data:
    """Read every file of the job and report one preflight event for each."""
    renderer = Renderer(tokenizer)
    train, report = build_rows(renderer, spec.train_file, spec.task, "train", spec.max_length, stop.check)
    per_epoch = -(-len(train) // spec.batch_size)
    report.steps = per_epoch * spec.epochs
    channel.emit("preflight", **asdict(report))
    validation = []
    for i, path in enumerate(spec.validation_files):
        rows, counts = build_rows(renderer, path, spec.task, f"validation-{i}", spec.max_length, stop.check)
        channel.emit("preflight", **asdict(counts))
        validation.append(rows)
    return Data(train, validation, per_epoch, report.length_max)
