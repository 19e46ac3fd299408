from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cloister_engine.failures import DataError
from cloister_engine.records import IGNORE, Renderer, build_rows, read_jsonl
from cloister_engine.spec import FINE_TUNING, PRE_TRAINING
from conftest import MARKER, pairs, write_jsonl

GOOD = b'{"prompt":"a","completion":"b"}'


def read(tmp_path: Path, data: bytes, kind: str = FINE_TUNING) -> list[dict[str, str]]:
    path = tmp_path / "data.jsonl"
    path.write_bytes(data)
    return list(read_jsonl(path, kind, "train"))


@pytest.mark.parametrize(
    "data",
    [
        GOOD + b"\n" + GOOD + b"\n",
        GOOD + b"\n" + GOOD,
        GOOD + b"\r\n" + GOOD + b"\r\n",
        b"\xef\xbb\xbf" + GOOD + b"\n" + GOOD,
        b" " + GOOD + b" \n\t" + GOOD,
    ],
    ids=["plain", "no final newline", "CRLF", "BOM", "spaces"],
)
def test_accepted_forms(tmp_path: Path, data: bytes) -> None:
    assert read(tmp_path, data) == [{"prompt": "a", "completion": "b"}] * 2


REFUSED = {
    "empty": (b"", 0, "empty"),
    "only a BOM": (b"\xef\xbb\xbf", 0, "empty"),
    "blank line": (GOOD + b"\n\n" + GOOD, 2, "blank"),
    "blank last line": (GOOD + b"\n\n", 2, "blank"),
    "line of spaces": (GOOD + b"\n   \n" + GOOD, 2, "blank"),
    "second BOM": (GOOD + b"\n\xef\xbb\xbf" + GOOD, 2, "not valid JSON"),
    "UTF-16": (GOOD.decode().encode("utf-16"), 1, "UTF-8 at byte 0"),
    "broken UTF-8": (b'{"prompt":"\xff","completion":"b"}', 1, "UTF-8 at byte 11"),
    "not JSON": (GOOD + b"\n{prompt}", 2, "not valid JSON at character 1"),
    "trailing comma": (b'{"prompt":"a","completion":"b",}', 1, "not valid JSON"),
    "two values": (GOOD + GOOD, 1, "not valid JSON"),
    "array": (b'["a","b"]', 1, "exactly the keys"),
    "string": (b'"prompt completion"', 1, "exactly the keys"),
    "missing key": (b'{"prompt":"a"}', 1, "exactly the keys"),
    "additional key": (b'{"prompt":"a","completion":"b","c":""}', 1, "exactly the keys"),
    "other case": (b'{"Prompt":"a","completion":"b"}', 1, "exactly the keys"),
    "duplicate key": (b'{"prompt":"a","prompt":"c","completion":"b"}', 1, "twice"),
    "number": (b'{"prompt":"a","completion":1}', 1, "$.completion must be a string"),
    "null": (b'{"prompt":null,"completion":"b"}', 1, "$.prompt must be a string"),
    "NaN": (b'{"prompt":NaN,"completion":"b"}', 1, "not valid JSON"),
    "empty completion": (b'{"prompt":"a","completion":""}', 1, "$.completion is empty"),
    "surrogate": (b'{"prompt":"\\ud800","completion":"b"}', 1, "surrogate"),
    "deep": (b"[" * 100_000, 1, "not valid JSON"),
    "carriage returns only": (GOOD + b"\r" + GOOD, 1, "not valid JSON"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_line_and_without_content(tmp_path: Path, name: str) -> None:
    data, line, text = REFUSED[name]
    with pytest.raises(DataError) as caught:
        read(tmp_path, data)
    assert (caught.value.line, caught.value.file) == (line, "train")
    assert text in caught.value.message


def test_messages_carry_no_content(tmp_path: Path) -> None:
    m = MARKER.encode()
    for data in (m, b'{"' + m + b'":1}', b'{"prompt":"' + m + b'"}', b'{"prompt":"' + m + b'","completion":1}'):
        with pytest.raises(DataError) as caught:
            read(tmp_path, data)
        assert MARKER not in caught.value.message
        assert MARKER not in str(caught.value)


def test_loss_is_on_completion_and_end_only(tokenizer: Any) -> None:
    renderer = Renderer(tokenizer)
    row = renderer.pair("What is it?", "a nation")
    learned = [label for label in row.labels if label != IGNORE]
    assert tokenizer.decode(learned) == "a nation<|im_end|>"
    assert learned[-1] == renderer.eos
    # inference sends exactly what training put before the completion
    assert row.input_ids[: row.labels.index(learned[0])] == renderer.prompt("What is it?")
    assert row.input_ids == renderer.prompt("What is it?") + learned


def test_documents_learn_every_token_after_the_first(tokenizer: Any) -> None:
    renderer = Renderer(tokenizer)
    row = renderer.document("We the People")
    assert row.labels == [IGNORE, *row.input_ids[1:]]
    assert row.input_ids[-1] == renderer.eos


def test_counts(tmp_path: Path, tokenizer: Any) -> None:
    long = {"prompt": "nation " * 200, "completion": "yes"}
    records = [*pairs(4), pairs(4)[1], long]
    path = write_jsonl(tmp_path / "t.jsonl", records)
    rows, report = build_rows(Renderer(tokenizer), path, FINE_TUNING, "train", 64, lambda: None)
    assert (report.records, report.rows, report.dropped, report.duplicates, report.truncated) == (6, 5, 1, 1, 0)
    assert report.tokens == sum(len(row.input_ids) for row in rows)
    assert report.label_tokens == sum(label != IGNORE for row in rows for label in row.labels)
    assert report.length_p50 <= report.length_p95 <= report.length_max <= 64


@pytest.mark.parametrize(("task", "record"), [(FINE_TUNING, pairs(1)[0]), (PRE_TRAINING, {"input": "nation " * 50})])
def test_nothing_left_is_a_data_failure(tmp_path: Path, tokenizer: Any, task: str, record: dict[str, Any]) -> None:
    path = write_jsonl(tmp_path / "t.jsonl", [record] * 3)
    with pytest.raises(DataError, match="none of the 3 records") as caught:
        build_rows(Renderer(tokenizer), path, task, "train", 4, lambda: None)
    assert caught.value.line == 0


def test_parser_survives_random_bytes(tmp_path: Path) -> None:
    """A deterministic little fuzz: any input is records or a DataError, never another exception."""
    import random

    source = random.Random(1)
    seeds = [GOOD, b'{"prompt":"\\u00e9","completion":"\xc3\xa9"}', b"\xef\xbb\xbf" + GOOD]
    outcomes = {"records": 0, "refused": 0}
    for _ in range(3000):
        data = bytearray(source.choice(seeds))
        for _ in range(source.randrange(4)):
            data[source.randrange(len(data))] = source.randrange(256)
        try:
            read(tmp_path, bytes(data))
            outcomes["records"] += 1
        except DataError:
            outcomes["refused"] += 1
    assert min(outcomes.values()) > 100
