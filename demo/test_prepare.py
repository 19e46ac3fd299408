from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import prepare
import pytest


def archive(path: Path, files: dict[str, Any]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, value in files.items():
            data = json.dumps(value).encode()
            member = tarfile.TarInfo(f"package/data/{name}.json")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


def mail(label: str, i: int) -> dict[str, str]:
    return {"group": label, "text": f"From: a@b\nSubject: Number {i} of {label}\n\nBody {i}\nof a mail.\n"}


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("Subject: Hello\n\nA  body\nof two lines\n", ("Hello", "A body of two lines")),
        ("Subject: =?utf-8?q?caf=C3=A9?=\n\nx", ("café", "x")),
        ("Subject: =?no-such-charset?q?x?=\n\nx", ("=?no-such-charset?q?x?=", "x")),
        ("Subject: a\n b\n\nx", ("a b", "x")),
        (
            "Subject: s\nContent-Type: text/html\n\n<style>p{}</style><p>Fish &amp;\n<b>chips</b></p>",
            ("s", "Fish & chips"),
        ),
        ("Subject: s\nContent-Type: image/png\n\nx", ("s", "")),
        ("\nno headers", ("", "no headers")),
        (
            'Subject: s\nContent-Type: multipart/mixed; boundary="b"\n\n'
            "--b\nContent-Type: text/plain\n\ninside\n--b--\n",
            ("s", "inside"),
        ),
    ],
)
def test_read_mail(text: str, want: tuple[str, str]) -> None:
    assert prepare.read_mail(text) == want


def test_mails_are_balanced_disjoint_and_independent_of_order(tmp_path: Path) -> None:
    files = {f"{group}/{i:05}": mail(group, i) for group in ("easy-ham-1", "spam-2") for i in range(260)}
    files["hard-ham-1/1"] = mail("hard-ham-1", 1)  # not used
    files["spam-1/same"] = files["easy-ham-1/00000"] | {"group": "spam-1"}  # the same mail under both labels: not used
    sets = prepare.mails(archive(tmp_path / "a.tgz", files))
    assert {name: len(records) for name, records in sets.items()} == {
        "train.jsonl": 320,
        "validation.jsonl": 40,
        "heldout.jsonl": 120,
    }
    prompts = [record["prompt"] for records in sets.values() for record in records]
    assert len(set(prompts)) == 480
    assert not any("hard-ham" in prompt for prompt in prompts)
    for records in sets.values():
        assert sum(record["completion"] == "spam" for record in records) * 2 == len(records)
        assert all(("spam-2" in record["prompt"]) == (record["completion"] == "spam") for record in records)
    again = prepare.mails(archive(tmp_path / "b.tgz", dict(reversed(files.items()))))
    assert again == sets


def test_speeches(tmp_path: Path) -> None:
    text = "word " * 1000
    files = {f"{year}_somebody_x": {"year": year, "text": f"{year} {text}"} for year in range(1880, 1920)}
    sets = prepare.speeches(archive(tmp_path / "s.tgz", files))
    assert {name: len(records) for name, records in sets.items()} == {"speeches.jsonl": 24, "speeches-heldout.jsonl": 6}
    assert all(len(r["input"]) == 700 and r["input"].startswith("word ") for records in sets.values() for r in records)


def test_another_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / prepare.MAILS[1]).write_bytes(b"not it")
    with pytest.raises(SystemExit, match="has SHA-256"):
        prepare.fetch(prepare.MAILS, tmp_path)
