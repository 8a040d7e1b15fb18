"""Publish files of events to a Pub/Sub topic, in the order in which they would have come.

python scripts/publish_examples.py --events DIR --topic projects/P/topics/T
    [--subscription projects/P/subscriptions/S] [--speed N] [--delay-minutes M] [--seed N] …

DIR has what make_examples.py writes: pageviews, engagements, calls and erasures, a file or folder
each. A call comes when it has ended. PUBSUB_EMULATOR_HOST names a local server.
"""

import argparse
import json
import random
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import groupby
from pathlib import Path
from typing import Any

from google.api_core.exceptions import AlreadyExists, GoogleAPIError
from google.pubsub_v1 import PublisherClient, SubscriberClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport
from google.pubsub_v1.types import PubsubMessage

from pipelines.pubsub import SourceError, open_channel
from transforms.decode_times import LAST, time_of_number, time_of_text
from transforms.reading import InputError, list_splits, read_split

FILES = {
    "pageviews": "pageview",
    "engagements": "engagement",
    "calls": "call",
    "erasures": "erasure",
}
TIMES = ("end", "start", "time")
SECOND_US = 1_000_000
REQUEST_BYTES, REQUEST_MESSAGES = 5_000_000, 1_000

Line = tuple[int, bytes]


def read_events(folder: Path) -> list[Line]:
    """(moment in us, line) of each line of a folder's events, each with its type."""
    lines: list[Line] = []
    for name, kind in FILES.items():
        moment_us = 0
        for split in list_splits([str(path) for path in folder.glob(f"{name}*")], kind):
            for block in read_split(split):
                for line in filter(bytes.strip, block.data.split(b"\n")):
                    moment_us, typed = _read(line, kind, moment_us)
                    lines.append((moment_us, typed))
    if not lines:
        raise InputError(
            f"{folder}: no files named {'*, '.join(FILES)}*; make_examples.py makes some"
        )
    return lines


def _read(line: bytes, kind: str, previous_us: int) -> Line:
    """A line with its type; one that is no event comes after the one before it."""
    try:
        event = json.loads(line)
    except ValueError:
        return previous_us, line
    if not isinstance(event, dict):
        return previous_us, line
    if "type" not in event:
        comma = b"," if event else b""
        line = b'{"type":"%s"%s' % (kind.encode(), comma) + line.lstrip()[1:]
    moments = (_moment_us(event[name]) for name in TIMES if name in event)
    return next((moment for moment in moments if moment is not None), previous_us), line


def _moment_us(value: Any) -> int | None:
    return time_of_text(value) if isinstance(value, str) else time_of_number(str(value))


def in_order(lines: Iterable[Line], delay_minutes: float, seed: int) -> list[Line]:
    """The lines by when they come: at their time, or up to so many minutes later, at random."""
    rng = random.Random(seed)
    delay_us = round(delay_minutes * 60 * SECOND_US)
    delayed = [(moment_us + rng.randint(0, delay_us), line) for moment_us, line in lines]
    return sorted(delayed, key=lambda line: line[0])


def as_messages(lines: Sequence[Line], lines_per_message: int) -> Iterator[Line]:
    """Messages of several lines, each with the moment of its last line."""
    for start in range(0, len(lines), lines_per_message):
        part = lines[start : start + lines_per_message]
        yield part[-1][0], b"\n".join(line for _, line in part)


def in_requests(messages: Iterable[bytes]) -> Iterator[list[bytes]]:
    """The messages by as many as a request may have."""
    request: list[bytes] = []
    size = 0
    for message in messages:
        if request and (size + len(message) > REQUEST_BYTES or len(request) == REQUEST_MESSAGES):
            yield request
            request, size = [], 0
        request.append(message)
        size += len(message)
    if request:
        yield request


def publish(messages: Iterable[Line], topic: str, speed: float | None) -> int:
    """Publishes in order, at so many seconds a second, or as fast as it goes; gives the number.

    Silence of more than an hour, as around a wrong date, lasts an hour.
    """
    count, due_seconds = 0, time.monotonic()
    # What comes in the same tenth of a real second goes out together.
    step_us = round(speed * SECOND_US / 10) if speed else LAST
    last_step = 0
    with PublisherClient(transport=PublisherGrpcTransport(channel=open_channel())) as publisher:
        for step, part in groupby(messages, lambda message: message[0] // step_us):
            if speed and count:
                due_seconds += min((step - last_step) * step_us / SECOND_US, 3600) / speed
                time.sleep(max(0.0, due_seconds - time.monotonic()))
            last_step = step
            for request in in_requests(data for _, data in part):
                published = [PubsubMessage(data=data) for data in request]
                publisher.publish(topic=topic, messages=published)
                count += len(request)
    return count


def create(topic: str, subscription: str | None) -> None:
    """The topic, and its subscription, where there are none."""
    with (
        PublisherClient(transport=PublisherGrpcTransport(channel=open_channel())) as publisher,
        suppress(AlreadyExists),
    ):
        publisher.create_topic(name=topic)
    if subscription is None:
        return
    with (
        SubscriberClient(transport=SubscriberGrpcTransport(channel=open_channel())) as subscriber,
        suppress(AlreadyExists),
    ):
        subscriber.create_subscription(
            request={"name": subscription, "topic": topic, "ack_deadline_seconds": 60}
        )


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    add = parser.add_argument
    add("--events", type=Path, required=True, help="folder of events")
    add("--topic", required=True, help="projects/P/topics/T; created where absent")
    add("--subscription", help="projects/P/subscriptions/S; created where absent")
    add("--speed", type=float, help="seconds of events a second (as fast as it goes)")
    add("--delay-minutes", type=float, default=0.0, help="events come up to so much late (0)")
    add("--seed", type=int, default=1, help="another seed, other delays (1)")
    add("--lines-per-message", type=int, default=1, help="events in a message (1)")
    options = parser.parse_args()
    if options.lines_per_message < 1 or options.delay_minutes < 0 or (options.speed or 1) <= 0:
        parser.error("--lines-per-message and --speed must be above 0, --delay-minutes at least 0")
    try:
        lines = in_order(read_events(options.events), options.delay_minutes, options.seed)
        create(options.topic, options.subscription)
        messages = as_messages(lines, options.lines_per_message)
        count = publish(messages, options.topic, options.speed)
    except (InputError, SourceError) as error:
        sys.exit(f"publish_examples: {error}")
    except GoogleAPIError as error:
        sys.exit(f"publish_examples: {options.topic}: {type(error).__name__}: {error}")
    print(f"{len(lines):,} events in {count:,} messages to {options.topic}")


if __name__ == "__main__":
    main()
