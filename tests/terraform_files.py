"""deploy/terraform as a parser reads it: blocks, labels and bodies."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hcl2

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "deploy" / "terraform"
FILES = sorted(FOLDER.glob("*.tf"))
# How many labels a block of a kind has.
LABELS = {"resource": 2, "data": 2, "variable": 1, "output": 1, "provider": 1}

Block = tuple[tuple[str, ...], dict[str, Any]]


def bare(text: str) -> str:
    return text.strip('"')


def blocks(kind: str) -> Iterator[Block]:
    """(labels, body) of the blocks of a kind; strings stay in quotes, expressions in ${…}."""
    for file in FILES:
        yield from blocks_of(file.read_text("utf-8"), kind)


def blocks_of(text: str, kind: str) -> Iterator[Block]:
    for block in hcl2.loads(text).get(kind, []):
        yield _unwrapped(block, LABELS.get(kind, 0))


def _unwrapped(block: dict[str, Any], labels: int) -> Block:
    """The labels that a block's body is wrapped in, and the body."""
    if not labels:
        return (), block
    [(label, inside)] = block.items()
    names, body = _unwrapped(inside, labels - 1)
    return (bare(label), *names), body


def members(body: dict[str, Any]) -> dict[str, Any]:
    """What stands in a body; the parser's own marks, as __is_block__, do not."""
    return {name: value for name, value in body.items() if not name.startswith("__")}


def is_block(value: Any) -> bool:
    """Whether it was written `name { … }`, not `name = …`."""
    return isinstance(value, list) and bool(value) and _marked(value[0])


def _marked(value: Any) -> bool:
    return isinstance(value, dict) and "__is_block__" in value


def code() -> str:
    """All files without their comments."""
    lines = (line for file in FILES for line in file.read_text("utf-8").splitlines())
    return "\n".join(line for line in lines if not line.lstrip().startswith("#"))
