"""Topics of a Pub/Sub server in tests: made, published to, each with one subscription."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

import grpc
from google.pubsub_v1 import PublisherClient, SubscriberClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport


@dataclass(frozen=True)
class Topic:
    """A topic and its subscription, by their full names, on the server at an address."""

    address: str
    topic: str
    subscription: str

    def publish(self, data: Sequence[bytes]) -> list[str]:
        """Publishes messages in one request; gives their ids."""
        with _channel(self.address) as channel:
            publisher = PublisherClient(transport=PublisherGrpcTransport(channel=channel))
            messages = [{"data": part} for part in data]
            return list(publisher.publish(topic=self.topic, messages=messages).message_ids)


def make_topic(address: str, ack_deadline_seconds: int = 10) -> Topic:
    """A new topic with a subscription, both of a name of their own."""
    name = f"t-{uuid.uuid4()}"
    made = Topic(address, f"projects/test/topics/{name}", f"projects/test/subscriptions/{name}")
    with _channel(address) as channel:
        publisher = PublisherClient(transport=PublisherGrpcTransport(channel=channel))
        publisher.create_topic(name=made.topic)
        subscriber = SubscriberClient(transport=SubscriberGrpcTransport(channel=channel))
        subscriber.create_subscription(
            request={
                "name": made.subscription,
                "topic": made.topic,
                "ack_deadline_seconds": ack_deadline_seconds,
            }
        )
    return made


def _channel(address: str) -> grpc.Channel:
    return grpc.insecure_channel(address, options=[("grpc.max_send_message_length", -1)])
