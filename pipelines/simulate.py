"""attribeam simulate: events of sites with a number pool, and the truth about their calls."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from pipelines.simulation.profiles import PROFILES, read_profile
from pipelines.simulation.world import Account, simulate_account
from pipelines.simulation.writing import write_accounts


class SimulationError(Exception):
    """The simulation cannot be written; the message says where and what to do."""


def run_simulate(options: argparse.Namespace) -> str:
    """What the command prints. Raises what simulate raises."""
    counts = simulate(options.days, options.seed, options.profile, options.settings, options.output)
    if options.json:
        return json.dumps(counts, indent=2)
    lines = [
        f"{name}: " + ", ".join(f"{number:,} {kind}" for kind, number in of_account.items())
        for name, of_account in counts.items()
    ]
    return "\n".join([*lines, f"Events, configuration and truth: {options.output}"])


def simulate(
    days: int, seed: int, profile: str | None, settings: Sequence[str], output: Path
) -> dict[str, dict[str, int]]:
    """Simulates one profile, or each as an account of its name; counts of events by account.

    Raises ParameterError for a profile, parameter or value that cannot be, SimulationError where
    the output cannot be written; the output is then as it was.
    """
    accounts = simulate_accounts(days, seed, [profile] if profile else list(PROFILES), settings)
    try:
        write_accounts(accounts, output)
    except FileExistsError as error:
        raise SimulationError(
            f"{output}: is there already and not empty; choose another --output or remove it"
        ) from error
    except OSError as error:
        raise SimulationError(
            f"{output}: cannot be written: {error.strerror or error}; nothing was left there"
        ) from error
    return {account.name: _counts(account) for account in accounts}


def simulate_accounts(
    days: int, seed: int, profiles: Sequence[str], settings: Sequence[str] = ()
) -> list[Account]:
    """The accounts of some profiles. Raises ParameterError."""
    chosen = {name: read_profile(name, settings) for name in profiles}
    return [simulate_account(name, p, days, seed) for name, p in chosen.items()]


def _counts(account: Account) -> dict[str, int]:
    return {
        "pageviews": account.pageviews.height,
        "engagements": account.engagements.height,
        "calls": account.calls.height,
    }
