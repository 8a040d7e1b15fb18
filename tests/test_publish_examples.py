"""Publishing files of events to a topic, as the stream's demo does."""

import gzip
import subprocess
import sys
from pathlib import Path

import pytest
from emulators.topics import Topic, make_topic

from pipelines.pubsub import Subscription

ROOT = Path(__file__).parents[1]
VIEWS = [
    b'{"time":"2026-06-01T12:00:00Z","n":1}',
    b"cut off {",
    b'{"time":"2026-06-01T12:02:00Z","n":2}',
]
CALLS = [b'{"start":"2026-06-01T12:00:30Z","end":"2026-06-01T12:01:00Z","n":3}']
CLICKS = [b' {"type":"engagement","time":1780315290,"n":4}']
SENT = [
    b'{"type":"pageview","time":"2026-06-01T12:00:00Z","n":1}',
    b"cut off {",
    b'{"type":"call","start":"2026-06-01T12:00:30Z","end":"2026-06-01T12:01:00Z","n":3}',
    b' {"type":"engagement","time":1780315290,"n":4}',
    b'{"type":"pageview","time":"2026-06-01T12:02:00Z","n":2}',
]


@pytest.fixture
def topic(pubsub_address: str, monkeypatch: pytest.MonkeyPatch) -> Topic:
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", pubsub_address)
    return make_topic(pubsub_address)


@pytest.fixture
def events(tmp_path: Path) -> Path:
    """A folder of events: compressed, and in a folder of their kind."""
    (tmp_path / "pageviews.jsonl.gz").write_bytes(gzip.compress(b"\n".join(VIEWS)))
    (tmp_path / "engagements").mkdir()
    (tmp_path / "engagements" / "1.jsonl").write_bytes(b"\n".join(CLICKS) + b"\n\n")
    (tmp_path / "calls.jsonl").write_bytes(b"\n".join(CALLS) + b"\n")
    return tmp_path


def published(topic: Topic, events: Path, *more: str) -> list[bytes]:
    """The messages of a run of the script, in the order of publishing."""
    names = ["--topic", topic.topic, "--subscription", topic.subscription]
    command = ["scripts/publish_examples.py", "--events", str(events), *names, *more]
    done = subprocess.run(
        [sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    with Subscription(topic.subscription) as subscription:
        messages = []
        while not subscription.is_empty:
            messages += subscription.pull(100, 1)
        subscription.acknowledge(messages)
    return [m.data for m in sorted(messages, key=lambda message: int(message.id[1:]))]


@pytest.mark.parametrize("more", [[], ["--speed", "1000"]])
def test_events_come_in_the_order_of_their_time(topic: Topic, events: Path, more: list[str]):
    """Every line is a message with its type, a call when it ended, a broken line after the last."""
    assert published(topic, events, *more) == SENT


def test_a_message_may_have_several_lines(topic: Topic, events: Path):
    """Lines are put together in their order."""
    assert published(topic, events, "--lines-per-message", "3") == [
        b"\n".join(SENT[:3]),
        b"\n".join(SENT[3:]),
    ]


def test_delays_change_the_order_by_the_seed(topic: Topic, events: Path):
    """The same seed gives the same order, and every line comes once whatever its delay."""
    orders = [published(topic, events, "--delay-minutes", "30", "--seed", seed) for seed in "1123"]
    assert orders[0] == orders[1]
    assert len({tuple(order) for order in orders}) > 1
    assert all(sorted(order) == sorted(SENT) for order in orders)


def test_a_topic_and_its_subscription_are_made(topic: Topic, events: Path):
    """What is not there yet is created before anything is published."""
    absent = Topic(topic.address, f"{topic.topic}-new", f"{topic.subscription}-new")
    assert published(absent, events) == SENT


def test_a_folder_without_events_is_told(tmp_path: Path):
    """The message says what was looked for."""
    done = subprocess.run(
        [sys.executable, "scripts/publish_examples.py", "--events", tmp_path, "--topic", "t"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"publish_examples: {tmp_path}: no files named pageviews*")
