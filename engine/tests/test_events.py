from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from cloister_engine import events
from conftest import GOLDEN


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.ndjson")), ids=lambda path: path.stem)
def test_golden_files(path: object) -> None:
    lines = (GOLDEN / str(path)).read_bytes().splitlines()
    assert [events.decode(line)["seq"] for line in lines] == list(range(1, len(lines) + 1))


def test_golden_files_have_every_type() -> None:
    seen = {events.decode(line)["type"] for path in GOLDEN.glob("*.ndjson") for line in path.read_bytes().splitlines()}
    assert seen == set(events.SCHEMA)


def bad_events() -> list[tuple[str, bytes]]:
    lines = (GOLDEN / "bad-events.txt").read_text().splitlines()
    return [(name, event.encode()) for name, _, event in (line.partition("\t") for line in lines) if event]


@pytest.mark.parametrize(("name", "line"), bad_events(), ids=[name for name, _ in bad_events()])
def test_bad_events_are_refused(name: str, line: bytes) -> None:
    with pytest.raises(ValueError, match=r".*"):
        events.decode(line)


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    yield ours, theirs
    ours.close()
    theirs.close()


def test_channel_writes_in_sequence(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    channel = events.Channel(theirs.fileno(), lambda: None)
    for i in range(50):
        channel.emit("progress", done=i, total=50)
    channel.close()
    theirs.shutdown(socket.SHUT_WR)
    seen = [events.decode(line) for line in ours.makefile("rb")]
    assert [event["done"] for event in seen] == list(range(50))
    assert [event["seq"] for event in seen] == list(range(1, 51))


def test_nothing_follows_the_end(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    channel = events.Channel(theirs.fileno(), lambda: None)
    channel.emit("stopped", steps=1)
    channel.emit("heartbeat", rss_peak_mb=1)
    channel.close()
    theirs.shutdown(socket.SHUT_WR)
    assert [events.decode(line)["type"] for line in ours.makefile("rb")] == ["stopped"]


def test_channel_refuses_what_is_not_in_the_contract(pair: tuple[socket.socket, socket.socket]) -> None:
    channel = events.Channel(pair[1].fileno(), lambda: None)
    with pytest.raises(ValueError, match="members differ"):
        channel.emit("stopped", steps=1, text="secret")
    with pytest.raises(ValueError, match="JSON compliant"):
        channel.emit("measured", loss=float("nan"), label_tokens=1, records=1, prompts=0)
    channel.close()


@pytest.mark.parametrize("noise", [b"", b"hello\n", b'{"cmd":"start"}\n', b"[" * 2000 + b"\n", b"\xff\n"])
def test_stop_command(pair: tuple[socket.socket, socket.socket], noise: bytes) -> None:
    ours, theirs = pair
    stopped = threading.Event()
    channel = events.Channel(theirs.fileno(), stopped.set)
    if noise:
        ours.sendall(noise)
    ours.sendall(b'{"cmd":')
    assert not stopped.wait(0.05)
    ours.sendall(b'"stop"}\n')
    assert stopped.wait(10)
    channel.close()


def test_nobody_listening_is_a_stop(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    stopped = threading.Event()
    channel = events.Channel(theirs.fileno(), stopped.set)
    ours.close()
    channel.emit("stopped", steps=1)
    assert stopped.wait(10)
    channel.close()


def test_heartbeat(pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "HEARTBEAT_S", 0.01)
    ours, theirs = pair
    channel = events.Channel(theirs.fileno(), lambda: None)
    assert events.decode(ours.makefile("rb").readline())["type"] == "heartbeat"
    channel.close()


def test_descriptor_that_is_not_open() -> None:
    with pytest.raises(OSError, match="Bad file descriptor"):
        events.Channel(999, lambda: None)
