#!/usr/bin/env python3
"""The demo's boto3 part: upload, reading the metrics back, and judging the result.

    demo/clients.py upload FILE BUCKET KEY
    demo/clients.py metrics BUCKET JOB_ARN
    demo/clients.py judge HELDOUT MAILS_JSON SPEECHES_JSON     exits 1 below the thresholds

boto3 finds endpoint, certificates and keys in the environment that `cloister env` prints.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

MIN_CUSTOM, MAX_BASE = 0.75, 0.10  # share of exact matches on the held-out mails
MIN_DROP = 0.1  # of the token-mean loss on the held-out passages, in nats


def upload(path: str, bucket: str, key: str) -> int:
    import boto3

    boto3.client("s3").upload_file(path, bucket, key)
    print(f"boto3: uploaded {path} to s3://{bucket}/{key}")
    return 0


def metrics(bucket: str, job_arn: str) -> int:
    """Print the first and last rows of both CSV files."""
    import boto3

    s3 = boto3.client("s3")
    prefix = f"model-customization-job-{job_arn.rsplit('/', 1)[1]}/"
    for entry in s3.list_objects_v2(Bucket=bucket, Prefix=prefix)["Contents"]:
        answer = s3.get_object(Bucket=bucket, Key=entry["Key"])
        lines = answer["Body"].read().decode().splitlines()
        print(f"s3://{bucket}/{entry['Key']}  ({answer['ServerSideEncryption']}, {len(lines) - 1} rows)")
        shown = lines if len(lines) <= 6 else [*lines[:3], "…", *lines[-2:]]
        print("\n".join(f"  {line}" for line in shown))
    return 0


def judge(heldout: str, mails: str, speeches: str) -> int:
    """Exact match: trimmed text equals the completion; all records count."""
    want = [json.loads(line)["completion"].strip() for line in Path(heldout).read_text().splitlines()]
    answers = json.loads(Path(mails).read_text())
    score = {}
    for side in ("base", "custom"):
        got = [text.strip() for text in answers[side]["answers"]]
        score[side] = sum(g == w for g, w in zip(got, want, strict=True))
        print(f"mails     {side:6}  {score[side]:3} of {len(want)} right ({score[side] / len(want):.0%})")
    loss = {side: values["loss"] for side, values in json.loads(Path(speeches).read_text()).items() if side in ("base", "custom")}
    print(f"speeches  loss    base {loss['base']:.3f}, custom {loss['custom']:.3f} (down {loss['base'] - loss['custom']:.3f})")
    failures = []
    if score["custom"] < MIN_CUSTOM * len(want):
        failures.append(f"the custom model answers less than {MIN_CUSTOM:.0%} of the mails right")
    if score["base"] > MAX_BASE * len(want):
        failures.append(f"the base model answers more than {MAX_BASE:.0%} of the mails right")
    if loss["base"] - loss["custom"] < MIN_DROP:
        failures.append(f"the loss on the speeches falls by less than {MIN_DROP}")
    for failure in failures:
        print(f"FAILED: {failure}")
    return 1 if failures else 0


if __name__ == "__main__":
    commands = {"upload": upload, "metrics": metrics, "judge": judge}
    if len(sys.argv) < 2 or sys.argv[1] not in commands:
        sys.exit(__doc__)
    sys.exit(commands[sys.argv[1]](*sys.argv[2:]))
