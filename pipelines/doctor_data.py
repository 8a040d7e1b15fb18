"""What the doctor says of the key, the configuration and the input.

Each check is (ok, what was found, what to do).
"""

import time
from collections.abc import Sequence
from pathlib import Path

from schemas.config import ConfigError, load_config
from transforms.decode import Decoded, DecodeSettings, decode_block
from transforms.privacy import KEY_BYTES, KeyMissing, load_key
from transforms.reading import InputError, Split, list_splits, read_split

SAMPLE_BYTES = 1 << 20
Finding = tuple[bool, str, str]


def check_key() -> Finding:
    """The secret key, by its presence and length only."""
    try:
        load_key()
    except KeyMissing as error:
        what, _, advice = str(error).rpartition(": set ")
        return False, what, f"set {advice}"
    return True, f"{KEY_BYTES} bytes", ""


def check_configuration(path: Path | None) -> Finding:
    """The configuration file, read as a run would."""
    if path is None:
        return True, "none given, the defaults hold", ""
    try:
        config = load_config(path)
    except ConfigError as error:
        return False, str(error), "docs/configuration.md lists the keys"
    return True, f"{path}: {len(config.accounts)} accounts", ""


def check_sample(kind: str, paths: Sequence[str], config: Path | None) -> Finding:
    """The beginning of the first file that holds anything, decoded as a run would."""
    try:
        splits = list_splits(paths, kind, SAMPLE_BYTES)
        decoded = _decode_beginning(splits, _sample_settings(config))
    except InputError as error:
        return False, str(error), ""
    if decoded is None:
        return False, f"{', '.join(paths)}: no lines there", "check the paths"
    read, accepted, dead = (
        sum(count for (_, _, name), count in decoded.counts.items() if name == wanted)
        for wanted in ("read", "accepted_before_duplicates", "dead_letters")
    )
    codes = (
        decoded.dead_letters["code"]
        .value_counts()
        .sort("count", "code", descending=[True, False])
        .rows()
    )
    told = ", ".join(f"{code} {count}" for code, count in codes)
    found = f"{accepted} of the first {read} lines are events"
    found += f"; dead letters: {told}" if told else ""
    is_fit = dead * 2 <= read
    return is_fit, found, "" if is_fit else "the README's section on inputs shows an event"


def _sample_settings(path: Path | None) -> DecodeSettings:
    """Settings for a sample, even where the configuration or the key is itself a problem."""
    try:
        config = load_config(path)
    except ConfigError:
        config = load_config(None)
    return DecodeSettings(config, bytes(KEY_BYTES), time.time_ns() // 1000)


def _decode_beginning(splits: Sequence[Split], settings: DecodeSettings) -> Decoded | None:
    for split in splits:
        for block in read_split(split):
            if block.data.strip():
                return decode_block(block, settings)
    return None
