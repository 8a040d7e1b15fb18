"""Subscriptions: Google's client against a real server."""

import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from emulators.servers import pubsub_server
from emulators.topics import Topic, make_topic
from google.api_core.exceptions import ServiceUnavailable

from pipelines import pubsub, pubsub_errors
from pipelines.pubsub import Message, SourceError, Subscription
from pipelines.pubsub_errors import Outage

TOPIC, SUBSCRIPTION = "projects/test/topics/events", "projects/test/subscriptions/events"
PULL_AND_DIE = """
import logging, os, signal, sys
from pipelines.pubsub import Subscription
logging.basicConfig(level="DEBUG")
print(*[message.id for message in Subscription(sys.argv[1]).pull(1, 60)], flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def topic(pubsub_address: str, monkeypatch: pytest.MonkeyPatch) -> Topic:
    """A topic whose messages come again a second after they were delivered."""
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", pubsub_address)
    return make_topic(pubsub_address, ack_deadline_seconds=1)


@pytest.fixture
def subscription(topic: Topic) -> Iterator[Subscription]:
    with Subscription(topic.subscription, deadline_seconds=1) as opened:
        yield opened


def pulled(topic: Topic, count: int, seconds: float) -> list[Message]:
    """What a second reader of the subscription gets."""
    with Subscription(topic.subscription, deadline_seconds=1) as other:
        return other.pull(count, seconds)


def test_what_is_acknowledged_does_not_come_again(topic: Topic, subscription: Subscription):
    """A message has what was published and when; acknowledged messages stay away."""
    before_us = time.time_ns() // 1000
    ids = topic.publish([b"one", b"two", b"three"])
    messages = subscription.pull(3, 60)
    found = {message.id: message.data for message in messages}
    assert found == dict(zip(ids, [b"one", b"two", b"three"], strict=True))
    assert all(before_us <= m.publish_time_us <= time.time_ns() // 1000 for m in messages)
    subscription.acknowledge(messages)
    subscription.close()
    assert pulled(topic, 1, 1.5) == []


def test_a_batch_is_gathered_in_several_pulls(topic: Topic, subscription: Subscription):
    """A pull goes on until it has as many as asked for, or the time is over."""
    topic.publish([b"one"])
    assert len(subscription.pull(2, 3)) == 1
    assert not subscription.is_full
    topic.publish([b"x"] * 3_000)
    messages = subscription.pull(2_500, 60)
    assert len(messages) == 2_500
    assert subscription.is_full
    assert len(subscription.pull(501, 3)) == 500
    assert not subscription.is_full
    assert subscription.is_empty


def test_a_batch_is_full_by_its_size_too(
    topic: Topic, subscription: Subscription, monkeypatch: pytest.MonkeyPatch
):
    """A pull ends long before its time once it has so many bytes."""
    monkeypatch.setattr(pubsub, "MAX_BATCH_BYTES", 3)
    topic.publish([b"one"])
    assert [message.data for message in subscription.pull(1_000_000, 3600)] == [b"one"]
    assert subscription.is_full


def test_thousands_are_acknowledged_in_several_requests(topic: Topic, subscription: Subscription):
    """As many as no single request could name are all acknowledged."""
    topic.publish([b"x"] * 2_500)
    subscription.acknowledge(subscription.pull(2_500, 60))
    subscription.close()
    assert pulled(topic, 1, 1.5) == []


def test_what_is_closed_unacknowledged_comes_again_at_once(
    topic: Topic, subscription: Subscription
):
    """Closing hands back what is held: no deadline has to be waited for."""
    ids = topic.publish([b"one"])
    assert [message.id for message in subscription.pull(1, 60)] == ids
    subscription.close()
    assert [message.id for message in pulled(topic, 1, 60)] == ids


def test_what_is_let_go_comes_again(topic: Topic, subscription: Subscription):
    """A message that is neither acknowledged nor held any more is delivered to others."""
    ids = topic.publish([b"one"])
    subscription.let_go(subscription.pull(1, 60))
    assert [message.id for message in pulled(topic, 1, 60)] == ids


def test_what_a_killed_process_held_comes_again(topic: Topic):
    """A killed reader loses nothing, and has logged nothing of a message at any level."""
    ids = topic.publish([b"planted"])
    killed = subprocess.run(
        [sys.executable, "-c", PULL_AND_DIE, topic.subscription],
        env=os.environ | {"GOOGLE_SDK_PYTHON_LOGGING_SCOPE": "google"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert killed.stdout.split() == ids
    assert "planted" not in killed.stderr
    assert "cGxhbnRlZA" not in killed.stderr  # the same in base64, as JSON has it
    assert [message.id for message in pulled(topic, 1, 60)] == ids


@pytest.mark.usefixtures("topic")
def test_what_is_held_stays_away_from_others(pubsub_address: str):
    """A message that is held beyond its deadline and an extension is delivered to nobody else."""
    topic = make_topic(pubsub_address, ack_deadline_seconds=3)
    ids = topic.publish([b"one"])
    with Subscription(topic.subscription, deadline_seconds=1) as subscription:
        held = subscription.pull(1, 60)
        assert pulled(topic, 1, 8) == []
    assert [message.id for message in held] == ids
    assert [message.id for message in pulled(topic, 1, 60)] == ids


def test_a_message_of_ten_megabytes_passes(topic: Topic, subscription: Subscription):
    """The largest message that Pub/Sub takes arrives whole."""
    topic.publish([b"x" * 10_000_000])
    [message] = subscription.pull(1, 60)
    assert message.data == b"x" * 10_000_000


@pytest.mark.usefixtures("topic")
def test_an_unknown_subscription_is_told_at_once():
    """Nothing is tried again where the subscription does not exist."""
    with (
        Subscription("projects/test/subscriptions/nowhere") as unknown,
        pytest.raises(SourceError, match="knows no subscription projects/test/subscriptions/now"),
    ):
        unknown.pull(1, 3600)


@pytest.mark.parametrize("name", ["events", "projects/p/topics/t", "projects//subscriptions/s", ""])
def test_a_wrong_name_is_told(name: str):
    """What is not a subscription's full name is refused before anything is asked."""
    with pytest.raises(SourceError, match="write projects/PROJECT/subscriptions/NAME"):
        Subscription(name)


@pytest.mark.usefixtures("pubsub_binary")
def test_a_server_that_was_gone_is_read_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    """An outage is said once, pulls come back empty meanwhile, and afterwards messages come."""
    caplog.set_level(logging.WARNING, "pipelines.pubsub_errors")
    with pubsub_server(topic=TOPIC, subscription=SUBSCRIPTION) as address:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", address)
        subscription = Subscription(SUBSCRIPTION)
        Topic(address, TOPIC, SUBSCRIPTION).publish([b"before"])
        before = subscription.pull(1, 60)
        subscription.acknowledge(before)
    assert not subscription.is_away
    assert subscription.pull(1, 0.5) == []
    assert subscription.pull(1, 0.5) == []
    assert subscription.is_away
    port = int(address.rpartition(":")[2])
    with pubsub_server(port, TOPIC, SUBSCRIPTION), subscription:
        Topic(address, TOPIC, SUBSCRIPTION).publish([b"after"])
        after = subscription.pull(1, 60)
        assert not subscription.is_away
    assert [message.data for message in before + after] == [b"before", b"after"]
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2
    assert said[0] == "Pub/Sub does not answer (ServiceUnavailable); trying again for up to 600 s"
    assert said[1].startswith("Pub/Sub answers again after")


def test_silence_without_errors_ends_an_outage(monkeypatch: pytest.MonkeyPatch):
    """A server with nothing to deliver need not answer, so it is not away for ever."""
    outage = Outage(give_up_seconds=3600)
    outage.go_on(ServiceUnavailable("gone"))
    outage.be_quiet()
    assert outage.is_on
    monkeypatch.setattr(pubsub_errors, "QUIET_SECONDS", -1)
    outage.be_quiet()
    assert not outage.is_on


@pytest.mark.usefixtures("topic")
def test_an_answer_that_comes_between_two_pulls_is_kept(pubsub_address: str):
    """A pull whose time is over loses nothing: the next ones give what came, as asked for."""
    # What was lost would not be delivered again within the time of this test.
    topic = make_topic(pubsub_address, ack_deadline_seconds=600)
    with Subscription(topic.subscription) as subscription:
        assert subscription.pull(3, 0.01) == []
        ids = topic.publish([b"one", b"two", b"three"])
        first = subscription.pull(1, 60)
        assert subscription.is_full
        rest = subscription.pull(2, 60)
    assert len(first) == 1
    assert sorted(message.id for message in first + rest) == sorted(ids)


@pytest.mark.usefixtures("pubsub_binary")
def test_what_could_not_be_acknowledged_is_by_the_next_call(monkeypatch: pytest.MonkeyPatch):
    """While the server is gone an acknowledgement waits; it is told once the server is back."""
    with pubsub_server(topic=TOPIC, subscription=SUBSCRIPTION) as address:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", address)
        subscription = Subscription(SUBSCRIPTION)
        Topic(address, TOPIC, SUBSCRIPTION).publish([b"one"])
        held = subscription.pull(1, 60)
    subscription.acknowledge(held)
    port = int(address.rpartition(":")[2])
    with pubsub_server(port, TOPIC, SUBSCRIPTION), subscription:
        # The server gives the same ids from its start on, so it takes this message for that one.
        same, other = Topic(address, TOPIC, SUBSCRIPTION).publish([b"one", b"two"])
        assert same == held[0].id
        assert [message.id for message in subscription.pull(1, 60)] == [other]
        assert subscription.pull(1, 1) == []


@pytest.mark.usefixtures("pubsub_binary")
def test_a_server_that_stays_away_ends_the_reading(monkeypatch: pytest.MonkeyPatch):
    """An outage longer than the limit ends with words that say so and what becomes of messages."""
    with pubsub_server(topic=TOPIC, subscription=SUBSCRIPTION) as address:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", address)
        subscription = Subscription(SUBSCRIPTION, give_up_seconds=0.5)
        assert subscription.pull(1, 0.5) == []
    with (
        subscription,
        pytest.raises(SourceError, match=r"has not answered for 0\.5 s .* comes again$"),
    ):
        subscription.pull(1, 3600)


def test_without_credentials_it_is_said_what_to_set(
    tmp_path: os.PathLike[str], monkeypatch: pytest.MonkeyPatch
):
    """Where there are no credentials, one message says how to give some."""
    for name in ("PUBSUB_EMULATOR_HOST", "GOOGLE_APPLICATION_CREDENTIALS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    with pytest.raises(SourceError, match=r"no Google credentials .* GOOGLE_APPLICATION_CREDENT"):
        Subscription(SUBSCRIPTION)
