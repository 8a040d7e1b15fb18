"""Pub/Sub as a Beam source: FnApiRunner against a real server."""

from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.util import assert_that, equal_to
from apache_beam.transforms.userstate import ReadModifyWriteStateSpec
from apache_beam.utils.timestamp import MAX_TIMESTAMP, Timestamp
from emulators.topics import Topic, make_topic

from pipelines import pubsub_source
from pipelines.pubsub import SourceError, Subscription
from pipelines.pubsub_source import MessageReader, MessageSource, ReadMessages
from transforms.streaming.watermark import BEGINNING


@pytest.fixture
def topic(pubsub_address: str, monkeypatch: pytest.MonkeyPatch) -> Topic:
    """A topic whose messages come again a second after they were delivered."""
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", pubsub_address)
    return make_topic(pubsub_address, ack_deadline_seconds=10)


def streaming() -> beam.Pipeline:
    return beam.Pipeline(runner=FnApiRunner(), options=PipelineOptions(streaming=True))


def is_empty(topic: Topic) -> bool:
    """Whether the subscription has nothing more to deliver, now or after a hand-back."""
    with Subscription(topic.subscription) as subscription:
        found = subscription.pull(1, 1)
        while not found and not subscription.is_empty:
            found = subscription.pull(1, 1)
        return not found


class CountSoFar(beam.DoFn):
    """For each element how many of its key have come."""

    COUNT = beam.DoFn.StateParam(ReadModifyWriteStateSpec("count", beam.coders.VarIntCoder()))

    def process(self, element: tuple[int, bytes], count: Any = COUNT) -> Iterator[int]:
        count.write((count.read() or 0) + 1)
        yield count.read()


def test_all_messages_come_once_and_are_acknowledged(topic: Topic):
    """A pipeline gets id, data and time of every message, and then none is left."""
    data = [b"%d" % number for number in range(500)]
    expected = list(zip(topic.publish(data), data, strict=True))
    with streaming() as pipeline:
        read = pipeline | ReadMessages(topic.subscription, stop_after_idle_seconds=0.5)
        assert_that(read | beam.Map(lambda message: message[:2]), equal_to(expected))
    assert is_empty(topic)
    assert pubsub_source._OPEN == {}


def test_state_is_kept_from_bundle_to_bundle(topic: Topic, monkeypatch: pytest.MonkeyPatch):
    """A stateful step sees every message once, in whatever bundle it comes."""
    monkeypatch.setattr(pubsub_source, "MAX_MESSAGES", 100)
    topic.publish([b"x"] * 1_000)
    with streaming() as pipeline:
        counts = (
            pipeline
            | ReadMessages(topic.subscription, stop_after_idle_seconds=0.5)
            | beam.Map(lambda message: (1, message[1])).with_output_types(tuple[int, bytes])
            | beam.ParDo(CountSoFar())
        )
        assert_that(counts, equal_to(list(range(1, 1_001))))
    assert is_empty(topic)


def test_the_watermark_waits_for_the_backlog(topic: Topic, monkeypatch: pytest.MonkeyPatch):
    """It stays while more waits, follows publish times by a minute, and ends with the input."""
    monkeypatch.setattr(pubsub_source, "MAX_MESSAGES", 2)
    topic.publish([b"one", b"two", b"three"])
    reader = MessageReader(MessageSource(topic.subscription, stop_after_idle_seconds=0.5))
    seen: list[tuple[int, Timestamp]] = []
    assert reader.start()
    for has_more in (True, True, False):
        seen.append((reader.get_current()[2], reader.get_watermark()))
        assert reader.advance() is has_more
    times_us, watermarks = zip(*seen, strict=True)
    beginning = Timestamp(micros=BEGINNING)
    assert watermarks == (beginning, beginning, Timestamp(micros=max(times_us) - 60_000_000))
    while reader.get_watermark() < MAX_TIMESTAMP:
        assert not reader.advance()
    reader.get_checkpoint_mark().finalize_checkpoint()
    assert is_empty(topic)


def fail(message: tuple[str, bytes, int]) -> None:
    raise ValueError("on purpose")


def test_a_failed_pipeline_acknowledges_nothing(topic: Topic):
    """Messages of a bundle that failed come again."""
    topic.publish([b"one", b"two"])
    with pytest.raises(Exception, match="on purpose"), streaming() as pipeline:
        _ = (
            pipeline
            | ReadMessages(topic.subscription, stop_after_idle_seconds=0.5)
            | beam.Map(fail)
        )
    with Subscription(topic.subscription) as subscription:
        again = subscription.pull(2, 60)
    assert sorted(message.data for message in again) == [b"one", b"two"]


def test_an_unknown_subscription_fails_the_pipeline(topic: Topic):
    """The words of the source are in the pipeline's error."""
    absent = f"{topic.subscription}-absent"
    with pytest.raises(Exception, match="Pub/Sub knows no subscription"), streaming() as pipeline:
        _ = pipeline | ReadMessages(absent, stop_after_idle_seconds=0.5)


def test_a_wrong_name_is_refused_when_the_pipeline_is_made():
    """A name that is no subscription's is told before anything runs."""
    with pytest.raises(SourceError, match="write projects/PROJECT/subscriptions/NAME"):
        ReadMessages("events")
