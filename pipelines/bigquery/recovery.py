"""What interrupted backfills have decided, done by the next one.

An account whose rows cannot be written holds up only the runs that would write to it.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from pipelines.bigquery import commits, staging
from pipelines.bigquery.checks import check_loads, raise_found
from pipelines.bigquery.commits import Commit
from pipelines.bigquery.errors import SERVICE_ERRORS, clear_service_errors, explain
from pipelines.bigquery.limits import Limits
from pipelines.bigquery.replacements import staging_prefix
from pipelines.bigquery.service import Service
from pipelines.output import OutputError
from schemas.config import ConfigError

DECIDED = (
    "accounts that were not reached are as they were, and the next backfill into the project gives "
    "them their new rows first"
)
WAITING = "an earlier backfill has decided rows that it could not write:"
Check = Callable[[Iterable[str]], object]


@dataclass
class Recovery:
    """What earlier runs have left: accounts whose rows still wait, and why; warnings."""

    unfinished: dict[str | None, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def check(self, accounts: Iterable[str | None]) -> None:
        """Raises OutputError where an account waits for what an earlier run has decided."""
        raise_found(
            [
                f"account {account}: {self.unfinished[account]}; mend it, or leave the account out"
                for account in accounts
                if account in self.unfinished
            ],
            WAITING,
        )


def recover(service: Service, limits: Limits, check: Check) -> Recovery:
    """Finishes the commits of runs that ended in the middle of them, as far as it can.

    check: raises where rows of accounts may not be written. Raises OutputError where BigQuery
    cannot be had and where the day's loads into a journal are used up.
    """
    recovery = Recovery()
    with clear_service_errors("finishing an interrupted run", DECIDED):
        for control, location in service.control_datasets():
            recovery.warnings += commits.lapse(service, control, location)
            decided = commits.pending(service, control, location)
            recovery.unfinished |= _forbidden({commit.account for commit in decided}, check)
            ready = [c for c in decided if c.account not in recovery.unfinished]
            failed = finish(service, ready, control, location)
            recovery.unfinished |= {account: explain(error) for account, error in failed.items()}
            loads = commits.loads_today(service, control, location)
            raise_found([*check_loads(control, loads, limits)])
    return recovery


def finish(
    service: Service, decided: Sequence[Commit], control: str, location: str
) -> dict[str | None, Exception]:
    """Replaces what is decided and removes the staging tables of runs that are done.

    By account, why its transaction failed.
    """
    failed = commits.carry_out(service, decided, location)
    runs = {commit.run for commit in decided}
    for run in sorted(runs - {commit.run for commit in decided if commit.account in failed}):
        with suppress(*SERVICE_ERRORS):  # staging tables also expire by themselves
            staging.drop(service, f"{service.project}.{control}", staging_prefix(run))
    return failed


def _forbidden(accounts: Iterable[str | None], check: Check) -> dict[str | None, str]:
    """By account, why its rows may not be written."""
    found: dict[str | None, str] = {}
    for account in accounts:
        try:
            check([] if account is None else [account])
        except (ConfigError, OutputError) as error:
            found[account] = str(error)
    return found
