"""The keyed stages of the stream: pure steps over the rows of the keys that a block touches."""
