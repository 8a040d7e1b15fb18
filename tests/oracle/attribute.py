"""The whole product as one pure function of the set of events and the configuration (SPEC 2).

Of the specification this leaves out: erasures (4; decoded and counted, not applied), expiry and
--from/--to (12, 13), revisions, late data and views.
"""

from __future__ import annotations

import dataclasses
from collections import Counter

from oracle.decisions import build_world, decide
from oracle.decode import DeadLetter, decode
from oracle.rows import Row, conversion_row, display_rows, session_row
from oracle.settings import Settings, account_settings


@dataclasses.dataclass
class Result:
    """Rows, in the order of account and time, dead letters, and the ledger by kind."""

    conversions: list[Row]
    sessions: list[Row]
    displays: list[Row]
    dead_letters: list[DeadLetter]
    ledger: dict[str, dict[str, int]]
    dropped: Counter[tuple[str, str]]


def attribute(
    inputs: list[tuple[str, list[bytes]]],
    config: Settings,
    key: bytes,
    now_us: int,
    rule_set: str | None = None,
) -> Result:
    """Rows as a backfill would write them: revision 1, `emitted_at` now.

    `inputs` are files: the kind given by the flag (`pageview`, `engagement`, `call`, `erasure`;
    None where a message names its own) and the lines.
    """
    decoded = decode(inputs, config, now_us)
    result = Result([], [], [], decoded.dead_letters, _ledger(decoded.ledger), decoded.dropped)
    versions = {"revision": 1, "emitted_at": now_us}
    rules = {"rule_set": rule_set}
    for account in sorted({event.account for event in decoded.events}):
        events = [event for event in decoded.events if event.account == account]
        world = build_world(account, events, account_settings(config, account))
        for call in sorted(world.calls, key=lambda call: (call.time, call.get("call_id"))):
            row = conversion_row(world, call, decide(world, call), key)
            result.conversions.append(row | versions | rules)
        for session in world.sessions:
            result.sessions.append(session_row(session, key) | versions | rules)
            result.displays += [row | versions for row in display_rows(session)]
    return result


def _ledger(counted: dict[str, Counter[str]]) -> dict[str, dict[str, int]]:
    """`read = accepted + duplicates + dead_letters + no_consent`, for each kind."""
    names = ("read", "accepted", "duplicates", "dead_letters", "no_consent")
    return {kind: {name: count[name] for name in names} for kind, count in counted.items()}
