"""The options of attribeam stream (SPEC section 13)."""

import argparse
from pathlib import Path

from pipelines.options_command import Commands, add_command

EXAMPLES = """examples:
  attribeam stream --subscription projects/p/subscriptions/events --output warehouse
  attribeam stream --subscription projects/p/subscriptions/events --output warehouse \\
      --config attribeam.toml --metrics-port 9464
  attribeam stream --subscription projects/p/subscriptions/events --output warehouse --drain
  attribeam stream --subscription projects/p/subscriptions/events \\
      --output bigquery://p/EU --state attribeam-state
  attribeam stream --subscription projects/p/subscriptions/events --output bigquery://p/EU \\
      --runner DataflowRunner --region europe-west3 --key_secret=projects/p/secrets/k/versions/1
With --runner the stream is started as a job there (docs/deploy.md), with Beam's options.
PUBSUB_EMULATOR_HOST names a local Pub/Sub server.
"""
STATE = ".stream"


def add_stream(commands: Commands) -> None:
    """Adds the command to the parser."""
    stream = add_command(
        commands,
        "stream",
        "attribute calls as they come, and revise what late events change",
        EXAMPLES,
        description="Reads events from Pub/Sub until SIGTERM or Ctrl-C; a restart goes on from "
        "where it was.",
    )
    add = stream.add_argument
    add("--subscription", required=True, metavar="NAME", help="projects/P/subscriptions/S")
    add("--output", required=True, metavar="OUT", help="a folder, or bigquery://PROJECT[/LOCATION]")
    state = f"folder of what the stream remembers (OUT/{STATE}; required for BigQuery)"
    add("--state", type=Path, metavar="DIR", help=state)
    add("--config", type=Path, metavar="FILE", help="TOML configuration (defaults without one)")
    add("--drain", action="store_true", help="end when nothing more comes, with all calls decided")
    add("--metrics-port", type=_port, metavar="PORT", help="serve metrics on 127.0.0.1 (off)")
    add("--json", action="store_true", help="print the report at the end as JSON")


def _port(text: str) -> int:
    if not text.isdigit() or not 0 < int(text) < 1 << 16:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; write a number up to 65535")
    return int(text)
