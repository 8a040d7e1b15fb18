"""A Pub/Sub subscription, pulled: messages are held until they are acknowledged.

A small client on Google's own: batches by number, size and time, deadlines that are extended while
messages are held, outages that are waited out, and words for what waiting does not mend.
`PUBSUB_EMULATOR_HOST` names a local server. Nothing here logs or raises what a message holds.
"""

import logging
import os
import re
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, Self

import google.auth
import grpc
from google.api_core.exceptions import (
    Aborted,
    Cancelled,
    DeadlineExceeded,
    GoogleAPICallError,
    InternalServerError,
    RetryError,
    ServiceUnavailable,
    TooManyRequests,
    Unknown,
    from_grpc_error,
)
from google.api_core.gapic_v1.routing_header import to_grpc_metadata
from google.api_core.retry import Retry, if_exception_type
from google.auth.exceptions import DefaultCredentialsError
from google.cloud.pubsub_v1 import SubscriberClient
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport
from google.pubsub_v1.types import (
    AcknowledgeRequest,
    ModifyAckDeadlineRequest,
    PullRequest,
    PullResponse,
)

from pipelines.pubsub_errors import Outage, SourceError, in_words
from pipelines.pubsub_held import HeldMessages, in_requests

__all__ = ["Message", "SourceError", "Subscription", "check_name", "open_channel"]

# At DEBUG Google's client would log each answer, with what the messages hold.
logging.getLogger("google.pubsub_v1").setLevel(logging.INFO)

NAME = re.compile(r"projects/[^/\s]+/subscriptions/[A-Za-z][\w.~+%-]{2,254}")
MAX_BATCH_BYTES = 64 << 20
REQUEST_SECONDS = 60.0
ACKNOWLEDGE_SECONDS, CLOSE_SECONDS = 3.0, 1.0
SHORTEST_DEADLINE_SECONDS = 10.0
CHANNEL_OPTIONS = [
    # A message may have 10 MB and an answer several; gRPC's own limit is 4 MB.
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.keepalive_time_ms", 30_000),
    # gRPC would come to wait two minutes before it looks for a server that was gone.
    ("grpc.max_reconnect_backoff_ms", 5_000),
]
PASSING = (Aborted, InternalServerError, ServiceUnavailable, TooManyRequests, Unknown)
_Errors = tuple[type[GoogleAPICallError], ...]
NO_CREDENTIALS = (
    "there are no Google credentials for Pub/Sub: set GOOGLE_APPLICATION_CREDENTIALS to "
    "the key file of a service account, or run `gcloud auth application-default login`, or on "
    "Google Cloud give the machine a service account; for a local server set PUBSUB_EMULATOR_HOST"
)


@dataclass(frozen=True, slots=True)
class Message:
    """A message as delivered; delivered again it keeps its id, and may have another ack_id."""

    id: str
    data: bytes
    publish_time_us: int
    ack_id: str


def check_name(name: str) -> None:
    """Raises SourceError unless the name is a subscription's full name."""
    if not NAME.fullmatch(name):
        raise SourceError(
            f"{name!r} is no subscription's name; write projects/PROJECT/subscriptions/NAME"
        )


class Subscription:
    """A subscription whose messages are held, by extending their deadlines, until acknowledged.

    No call blocks longer than it is told, also while the server is gone: `pull` then comes back
    empty and acknowledgements wait for the next call. Made for one thread.

    Args:
        name: `projects/P/subscriptions/S`.
        give_up_seconds: How long an outage may last.
        deadline_seconds: The acknowledgement deadline of the subscription, or less.

    Raises:
        SourceError: By any method: wrong name, no credentials, no such subscription, no
            permission, or an outage longer than `give_up_seconds`.
    """

    def __init__(
        self,
        name: str,
        give_up_seconds: float = 600.0,
        deadline_seconds: float = SHORTEST_DEADLINE_SECONDS,
    ) -> None:
        check_name(name)
        self.name = name
        self.is_full = self.is_empty = False
        self._client = SubscriberClient(transport=SubscriberGrpcTransport(channel=open_channel()))
        self._outage = Outage(give_up_seconds)
        self._answers: SimpleQueue[list[Message] | GoogleAPICallError] = SimpleQueue()
        self._is_asking = False
        self._spare: list[Message] = []
        self._held = HeldMessages(self._set_deadline, deadline_seconds)
        self._acknowledged: list[str] = []

    @property
    def is_away(self) -> bool:
        """Whether the server does not answer, so that nothing is known of what is waiting."""
        return self._outage.is_on

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def pull(self, max_messages: int, seconds: float) -> list[Message]:
        """Messages, as soon as there are `max_messages` or 64 MB, or when the time is over.

        Afterwards `is_full` says whether it ended before the time was over, so that more is
        probably waiting, and `is_empty` whether the server's last answer was that nothing is.
        """
        end = time.monotonic() + seconds
        messages, self._spare = self._spare, []
        self._send_acknowledgements(seconds)
        while not (full := len(messages) >= max_messages or _size(messages) >= MAX_BATCH_BYTES):
            left = end - time.monotonic()
            found = self._next_answer(max_messages - len(messages), left) if left > 0 else None
            if found is None:
                break
            messages += found
        self.is_full = full
        messages, self._spare = messages[:max_messages], messages[max_messages:]
        return messages

    def acknowledge(self, messages: Sequence[Message]) -> None:
        """Tells the server that these messages are done.

        Where it does not answer within 3 seconds, the messages stay held and it is told by the
        next call. An acknowledgement that is never told means that the message comes again.
        """
        self._acknowledged += [message.ack_id for message in messages]
        self._send_acknowledgements(ACKNOWLEDGE_SECONDS)

    def let_go(self, messages: Sequence[Message]) -> None:
        """Holds messages no longer: they come again, or go to the dead-letter topic."""
        self._held.remove([message.ack_id for message in messages])

    def close(self) -> None:
        """Hands back what is not acknowledged, so that it comes again at once, and disconnects."""
        with suppress(SourceError):
            self._send_acknowledgements(CLOSE_SECONDS)
        self._acknowledged.clear()
        with suppress(GoogleAPICallError):
            for ids in in_requests(self._held.stop()):
                self._set_deadline(ids, 0)
        self._client.close()

    def _next_answer(self, max_messages: int, seconds: float) -> list[Message] | None:
        """What the server has, perhaps nothing; None where it has not answered in time.

        The request goes on while nobody waits: given up by us, its messages would be on their way
        and not come again before their deadline.
        """
        end = time.monotonic() + seconds

        def wait() -> list[Message]:
            if not self._is_asking:
                self._request(max_messages)
            answer = self._answers.get(timeout=max(0.0, end - time.monotonic()))
            self._is_asking = False
            if isinstance(answer, GoogleAPICallError):
                raise answer
            return answer

        try:
            messages: list[Message] = self._ask(wait, seconds, PASSING)
        except RetryError:
            self.is_empty = False
            return None
        except Empty:  # the answer is for a later call
            self._outage.be_quiet()
            return None
        except (DeadlineExceeded, Cancelled):  # the server has waited long enough
            self._outage.be_quiet()
            messages = []
        self.is_empty = not messages
        return messages

    def _request(self, max_messages: int) -> None:
        self._is_asking = True
        self._client.transport.pull.future(
            PullRequest(subscription=self.name, max_messages=max_messages),
            timeout=REQUEST_SECONDS,
            metadata=[to_grpc_metadata({"subscription": self.name})],
        ).add_done_callback(self._take_answer)

    def _take_answer(self, done: Any) -> None:
        """Holds what has come, in gRPC's thread, as soon as it has come."""
        if done.code() is not grpc.StatusCode.OK:
            self._answers.put(from_grpc_error(done))
            return
        # The plain protobuf message: proto-plus would wrap each field anew at every access.
        received = PullResponse.pb(done.result()).received_messages
        messages = [_message(one) for one in received]
        self._held.add([message.ack_id for message in messages])
        self._answers.put(messages)

    def _send_acknowledgements(self, seconds: float) -> None:
        passing = (*PASSING, DeadlineExceeded, Cancelled)
        for ids in in_requests(self._acknowledged):
            request = AcknowledgeRequest(subscription=self.name, ack_ids=ids)
            tell = partial(self._client.acknowledge, request, retry=None, timeout=seconds)
            try:
                self._ask(tell, seconds, passing)
            except RetryError:
                return
            self._held.remove(ids)
            del self._acknowledged[: len(ids)]

    def _set_deadline(self, ids: Sequence[str], seconds: int) -> None:
        request = ModifyAckDeadlineRequest(
            subscription=self.name, ack_ids=ids, ack_deadline_seconds=seconds
        )
        self._client.modify_ack_deadline(request, retry=None, timeout=ACKNOWLEDGE_SECONDS)

    def _ask(self, call: Callable[[], Any], seconds: float, passing: _Errors) -> Any:
        """The answer, tried again after errors that pass; RetryError once the time is over."""
        retry = Retry(
            if_exception_type(*passing),
            initial=0.1,
            maximum=5.0,
            timeout=seconds,
            on_error=self._outage.go_on,
        )
        try:
            answer = retry(call)()
        except (DeadlineExceeded, Cancelled):
            raise
        except GoogleAPICallError as error:
            raise SourceError(in_words(error, self.name)) from None
        self._outage.end()
        return answer


def open_channel() -> grpc.Channel:
    """A channel to Pub/Sub, or to the local server; SourceError where there are no credentials."""
    local = os.environ.get("PUBSUB_EMULATOR_HOST")
    if local:
        return grpc.insecure_channel(local, options=CHANNEL_OPTIONS)
    try:
        credentials, _ = google.auth.default(scopes=SubscriberGrpcTransport.AUTH_SCOPES)
    except DefaultCredentialsError:
        raise SourceError(NO_CREDENTIALS) from None
    return SubscriberGrpcTransport.create_channel(credentials=credentials, options=CHANNEL_OPTIONS)


def _size(messages: Sequence[Message]) -> int:
    return sum(len(message.data) for message in messages)


def _message(received: Any) -> Message:
    sent = received.message
    time_us = sent.publish_time.seconds * 1_000_000 + sent.publish_time.nanos // 1000
    return Message(sent.message_id, sent.data, time_us, received.ack_id)
