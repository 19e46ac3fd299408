"""Training against stock TRL: same base, rows, batches, optimizer and schedule length, tokens per CPU-second.

    scripts/engine-bench.sh --base DIR --data train.jsonl [--pairs 3] [--steps 8] [--method full]

Runs alternate (ours, TRL, ours, TRL, ...), each in a process of its own; what counts is the CPU time of the
training loop, so other work on the machine matters little. The ratio printed is the median over the pairs.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

BATCH = 4


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--base", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--method", choices=["full", "lora"], default="full")
    parser.add_argument("--run", choices=["ours", "trl"], help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.run:
        sys.stdout.write(json.dumps(measure(args)) + "\n")
        return 0
    ratios = []
    for pair in range(args.pairs):
        rates = {}
        for side in ("ours", "trl"):
            command = [sys.executable, *sys.argv, "--run", side]
            out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            result = json.loads(out.splitlines()[-1])
            rates[side] = result["tokens"] / result["cpu_s"]
            sys.stdout.write(
                f"pair {pair} {side:4} {result['tokens']} tokens  {result['cpu_s']:.1f} CPU-s"
                f"  {rates[side]:.1f} tokens/CPU-s  first loss {result['losses'][0]:.4f}"
                f"  last {result['losses'][-1]:.4f}  peak {result['rss_mb']} MB\n"
            )
            sys.stdout.flush()
        ratios.append(rates["ours"] / rates["trl"])
    sys.stdout.write(f"ours / TRL, median of {len(ratios)}: {statistics.median(ratios):.2f}\n")
    return 0


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Train one side and return its numbers."""
    from cloister_engine import environment

    environment.prepare(args.threads)
    environment.configure_torch(args.threads)
    from cloister_engine.loading import load_tokenizer
    from cloister_engine.records import Renderer, build_rows

    tokenizer = load_tokenizer(args.base)
    rows, _ = build_rows(Renderer(tokenizer), args.data, "fine-tuning", "train", 1024, lambda: None)
    rows = rows[: args.steps * BATCH]
    with TemporaryDirectory() as work:
        trainer = (ours if args.run == "ours" else stock)(args, rows, tokenizer, Path(work))
        before = resource.getrusage(resource.RUSAGE_SELF)
        trainer.train()
        after = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "tokens": sum(len(row.input_ids) for row in rows),
        "cpu_s": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "rss_mb": after.ru_maxrss // 1024,
        "losses": [entry["loss"] for entry in trainer.state.log_history if "loss" in entry],
    }


def ours(args: argparse.Namespace, rows: list[Any], tokenizer: Any, work: Path) -> Any:
    from cloister_engine import training
    from cloister_engine.loading import load_model
    from cloister_engine.preflight import Data
    from cloister_engine.reporter import Reporter
    from cloister_engine.spec import Train
    from cloister_engine.stop import StopFlag

    class Silent:
        def emit(self, *_: Any, **__: Any) -> None:
            """The channel's cost is a line of JSON for each step."""

    spec = Train(
        base=args.base,
        train_file=args.data,
        output=work,
        task="fine-tuning",
        method=args.method,
        epochs=1,
        batch_size=BATCH,
        learning_rate=1e-5,
        warmup_steps=0,
        max_length=1024,
        seed=0,
        threads=args.threads,
    )
    model = load_model(args.base)
    if args.method == "lora":
        model = training.with_lora(model, spec)
    data = Data(rows, [], args.steps, max(len(row.input_ids) for row in rows))
    reporter = Reporter(Silent(), StopFlag(), data, tokenizer.pad_token_id)  # type: ignore[arg-type]
    return training.make_trainer(spec, model, tokenizer, data, reporter)


def stock(args: argparse.Namespace, rows: list[Any], tokenizer: Any, work: Path) -> Any:
    """TRL as shipped: its own loss; only what would slow it down or change the work is switched off."""
    from datasets import Dataset
    from peft import LoraConfig
    from trl import SFTConfig, SFTTrainer

    from cloister_engine.loading import load_model

    lora = LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM")
    return SFTTrainer(
        model=load_model(args.base),
        args=SFTConfig(
            output_dir=str(work),
            dataset_kwargs={"skip_prepare_dataset": True},
            max_length=None,
            num_train_epochs=1,
            per_device_train_batch_size=BATCH,
            learning_rate=1e-5,
            lr_scheduler_type="cosine",
            seed=0,
            data_seed=0,
            use_cpu=True,
            bf16=False,
            activation_checkpointing=False,
            logging_steps=1,
            report_to="none",
            disable_tqdm=True,
            save_strategy="no",
            dataloader_pin_memory=False,
        ),
        train_dataset=Dataset.from_list([{"input_ids": row.input_ids, "labels": row.labels} for row in rows]),
        processing_class=tokenizer,
        peft_config=lora if args.method == "lora" else None,
    )


if __name__ == "__main__":
    sys.exit(main())
