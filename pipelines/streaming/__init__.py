"""The stream on one machine: a durable loop around the steps of transforms/streaming."""
