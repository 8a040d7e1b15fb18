"""A short run of faults; `make faults` is the long one."""

from pathlib import Path

import pytest
from faults.channel import told
from faults.run import FaultRun, check


@pytest.mark.xdist_group("faults")
def test_a_stream_that_is_killed_and_fails_ends_like_a_backfill(tmp_path: Path):
    """After seeded kills, failures and bad delivery no row is missing or double."""
    run = FaultRun(tmp_path, calls=120, faults=15, seed=2)
    check(run, run.run())
    kinds = {what.split()[0] for what in told(tmp_path)}
    assert kinds >= {"killed", "sink", "reordered", "delivered"}
