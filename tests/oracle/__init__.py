"""A slow and obvious oracle of SPEC.md, written from the specification alone.

It shares no code with `transforms/` or `pipelines/`; differential tests compare the two.
"""
