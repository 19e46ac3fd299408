"""Training: rows, transformers' Trainer with our loss and schedule, safetensors.

What Trainer would do by itself and is switched off here: checkpoints (they are pickles), its evaluation (it
averages over batches, not tokens), its filter that hides losses that are not numbers.
"""

from __future__ import annotations

import hashlib
import math
import shutil
import time
from importlib.metadata import version
from typing import Any

import torch
from transformers import PrinterCallback, Trainer, TrainingArguments, set_seed

from .events import Channel, peak_rss_mb
from .failures import NoEffectError, NonFiniteError
from .loading import load_model, load_tokenizer, publish
from .loss import collate, label_loss_sum, micro_batch
from .preflight import Data, read_data
from .records import Row
from .reporter import Reporter
from .spec import Train
from .stop import StopFlag

VERSIONS = ("torch", "transformers", "peft", "accelerate", "tokenizers", "safetensors", "numpy")


def train(spec: Train, channel: Channel, stop: StopFlag) -> None:
    """Run one job. Raises a Failure, or Stopped if the job was asked to stop before its last step."""
    started = time.monotonic()
    tokenizer = load_tokenizer(spec.base)
    data = read_data(spec, tokenizer, channel, stop)
    stop.check()
    set_seed(spec.seed)
    model = load_model(spec.base)
    if spec.method == "lora":
        model = with_lora(model, spec)
    before = digests(model)

    trainer = make_trainer(spec, model, tokenizer, data, Reporter(channel, stop, data, tokenizer.pad_token_id))
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    channel.emit(
        "started",
        max_steps=data.steps_per_epoch * spec.epochs,
        steps_per_epoch=data.steps_per_epoch,
        micro_batch=trainer.args.per_device_train_batch_size,
        parameters=sum(p.numel() for p in model.parameters()),
        trainable=trainable,
        seed=spec.seed,
        threads=spec.threads,
        setup_s=round(time.monotonic() - started, 2),
        versions={name: version(name) for name in VERSIONS},
    )
    trainer.train()
    stop.check()
    assert_effect(model, before)
    _save(spec, model, tokenizer)
    reporter = trainer.reporter
    channel.emit(
        "completed",
        steps=reporter.steps,
        trainable=trainable,
        loss_last=reporter.loss_last,
        loss_mean=reporter.loss_sum / reporter.steps,
        files=publish(spec.output),
        seconds=round(time.monotonic() - started, 2),
        rss_peak_mb=peak_rss_mb(),
    )


class LabelLossTrainer(Trainer):  # type: ignore[misc]
    """Trainer with the loss over labelled tokens and a schedule whose first and last steps both learn."""

    loss_is_scaled_for_ga = True  # compute_loss divides by the label tokens of the whole optimizer batch

    def __init__(self, *args: Any, reporter: Reporter, **kwargs: Any) -> None:
        super().__init__(*args, callbacks=[reporter], **kwargs)
        self.reporter = reporter
        self.remove_callback(PrinterCallback)

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> torch.Tensor:
        if num_items_in_batch is None or return_outputs:
            raise RuntimeError("the label count of the batch is needed")
        self.reporter.count_tokens(int(inputs["attention_mask"].sum()))
        return label_loss_sum(model, inputs) / num_items_in_batch

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        self.lr_scheduler: Any
        if self.lr_scheduler is None:
            self.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(
                optimizer or self.optimizer, schedule(int(self.args.warmup_steps), num_training_steps)
            )
        return self.lr_scheduler


def schedule(warmup: int, total: int) -> Any:
    """Factor of the learning rate at a step: a linear climb, then a cosine to zero.

    It is above zero at every step, so that a job shorter than its warm-up learns too.
    """

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / (warmup + 1)
        return 0.5 * (1.0 + math.cos(math.pi * min(1.0, (step - warmup) / max(1, total - warmup))))

    return factor


def with_lora(model: Any, spec: Train) -> Any:
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        r=spec.lora_rank,
        lora_alpha=2 * spec.lora_rank,
        lora_dropout=0.0,
        bias="none",
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    return get_peft_model(model, config)


def make_trainer(spec: Train, model: Any, tokenizer: Any, data: Data, reporter: Reporter) -> LabelLossTrainer:
    pad = tokenizer.pad_token_id
    micro = micro_batch(spec.batch_size, data.train_longest)
    args = TrainingArguments(
        output_dir=str(spec.output),  # Trainer itself writes nothing
        num_train_epochs=spec.epochs,
        per_device_train_batch_size=micro,
        gradient_accumulation_steps=spec.batch_size // micro,
        learning_rate=spec.learning_rate,
        warmup_steps=spec.warmup_steps,
        weight_decay=0.0,
        max_grad_norm=1.0,
        optim="adamw_torch_fused",
        seed=spec.seed,
        data_seed=spec.seed,
        use_cpu=True,  # no GPU enters the sandbox
        bf16=False,
        fp16=False,
        logging_steps=1,
        logging_nan_inf_filter=False,
        report_to="none",
        disable_tqdm=True,
        eval_strategy="no",
        save_strategy="no",
        remove_unused_columns=False,
        dataloader_num_workers=0,
        dataloader_pin_memory=False,
    )
    return LabelLossTrainer(
        model=model,
        args=args,
        train_dataset=_Rows(data.train),
        data_collator=lambda rows: collate(rows, pad),
        processing_class=tokenizer,
        reporter=reporter,
    )


class _Rows(torch.utils.data.Dataset[Row]):  # type: ignore[misc]
    def __init__(self, rows: list[Row]) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Row:
        return self.rows[index]


def digests(model: Any) -> dict[str, bytes]:
    """A digest of every trainable tensor: tells change from none without a second copy of the weights."""
    return {
        name: hashlib.blake2b(parameter.detach().numpy().data, digest_size=16).digest()
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    }


def assert_effect(model: Any, before: dict[str, bytes]) -> None:
    """Fail if a weight is not a number, or if no trainable tensor changed."""
    for name, parameter in model.named_parameters():
        if not bool(torch.isfinite(parameter).all()):
            raise NonFiniteError(f"after training a weight of {name} is not a number: lower the learning rate")
    if digests(model) == before:
        raise NoEffectError("training changed no weight: raise the learning rate")


def _save(spec: Train, model: Any, tokenizer: Any) -> None:
    """Save what the model's users need. Not Trainer.save_model, which pickles its arguments too."""
    shutil.rmtree(spec.output, ignore_errors=True)
    spec.output.mkdir(parents=True)
    model.save_pretrained(spec.output)
    (spec.output / "README.md").unlink(missing_ok=True)  # PEFT's model card
    if spec.method == "full":
        tokenizer.save_pretrained(spec.output)
