"""Rows as the protobuf library reads and writes them."""

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory


def message_class(message: descriptor_pb2.DescriptorProto) -> Any:
    """The library's class of a message, in a pool of its own."""
    file = descriptor_pb2.FileDescriptorProto(name="row.proto", message_type=[message])
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(message.name))
