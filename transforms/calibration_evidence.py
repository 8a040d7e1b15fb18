"""What a fit of the model needs of an account: which contacts were under way when calls came.

A contact is a moment at which a visitor had a number on the screen: a display, or an engagement on
a page with it. It is under way until the visitor's next contact with the number, for four hours at
most. The model of SPEC section 8 says at what rate contacts make calls, by their age; here that
rate is a sum of exponential parts of fixed means, so that only how much there is of each is left
to be fitted.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import polars as pl

from schemas.config import Account, Model
from transforms.calibration_contacts import (
    DAY,
    SECOND,
    Contacts,
    Floats,
    Ints,
    find_pairs,
    number_code,
    under_way,
)
from transforms.calibration_pools import entry_models, pool_names, with_entry

DAY_SECONDS = 86_400
# Mean delays of the parts, seconds: close enough that mixtures of them come near any falling curve.
MEANS = np.array([12.0, 40.0, 120.0, 300.0, 900.0, 3000.0])
# A number's freshest contact being older than this, seconds, is a sign that somebody unseen has it.
STALE_SECONDS = np.array([120.0, 300.0, 600.0, 1200.0])
# More calls than this say little more and cost time: of more, every n-th of a pool's is taken, as
# long as the pool keeps so many.
MOST_CALLS, MOST_POOL_CALLS = 5_000, 500
BLOCK_CALLS = 250


class Rates(NamedTuple):
    """What some numbers have to each call: the one called, all of its pool, or all.

    parts, near: (call, part of MEANS) calls a second of contacts under way, were each to make one
    call of that part; near: of contacts within the match window. stale: (call, pool, 1 + place in
    STALE_SECONDS) numbers; those whose freshest contact is older. configured: (call) calls a second
    by the configuration, nobody's among them.
    """

    parts: Floats
    near: Floats
    stale: Floats
    configured: Floats


@dataclass(frozen=True)
class Evidence:
    """Calls of an account, or of one pool's numbers; days are counted from the first contact's.

    own, within, every: Rates of the number called, of its pool's numbers, of all. call_day,
    call_row (place among the calls given), call_pool (place in `pools`), call_weight (calls that it
    stands for): by call. exposure: (pool, day, part) calls expected of the day's contacts, were
    each to make one of that part. calls_per_day: (pool, day) all calls, also those left out of the
    evidence. pools: names, None for no pool. numbers: that were displayed.
    """

    own: Rates
    within: Rates
    every: Rates
    call_day: Ints
    call_row: Ints
    call_pool: Ints
    call_weight: Floats
    exposure: Floats
    calls_per_day: Floats
    pools: tuple[str | None, ...]
    numbers: int

    @property
    def days(self) -> int:
        """How many days there are."""
        return self.exposure.shape[1]

    @property
    def days_with_calls(self) -> int:
        """On how many UTC days a call has a candidate."""
        return len(np.unique(self.call_day[self.own.near.any(axis=1)]))

    @property
    def calls(self) -> int:
        """How many calls the evidence holds."""
        return len(self.call_day)


class _Places(NamedTuple):
    """By number and day: pool (place in `names`), and its place in `settings.pools`."""

    pool: Ints
    entry: Ints
    names: tuple[str | None, ...]


def gather_evidence(contacts: pl.DataFrame, calls: pl.DataFrame, settings: Account) -> Evidence:
    """The evidence of one account's contacts and calls.

    contacts: visitor_id, tracking_number, time (us). calls: tracking_number, start (us). Calls
    before the day of the first contact or to numbers never displayed are left out. Raises
    ValueError without contacts.
    """
    if not contacts.height:
        raise ValueError("no contacts")
    numbers = contacts["tracking_number"].unique().sort()
    shown = under_way(contacts, numbers)
    first_day = int(shown.time[0]) // DAY
    asked = (
        calls.select(number_code(numbers), "start")
        .with_row_index("row")
        .filter(pl.col("number").is_not_null() & (pl.col("start") >= first_day * DAY))
        .sort("start", "row")
    )
    latest = max(int(shown.time[-1]), asked["start"].to_numpy().max(initial=0))
    days = latest // DAY + 1 - first_day
    places = _find_places(numbers, first_day, days, settings)
    day = asked["start"].to_numpy() // DAY - first_day
    pool = places.pool[asked["number"].to_numpy(), day]
    asked = asked.with_columns(day=day, pool=pool)
    chosen = _thin(asked)
    blocks = [
        _block(shown, chosen[at : at + BLOCK_CALLS], places, settings)
        for at in range(0, max(chosen.height, 1), BLOCK_CALLS)
    ]
    own, within, every = (
        Rates(*(np.concatenate(parts) for parts in zip(*side, strict=True)))
        for side in zip(*blocks, strict=True)
    )
    shape = (len(places.names), days)
    lasted = np.minimum(shown.end, (first_day + days) * DAY) - shown.time
    begun = shown.time // DAY - first_day
    return Evidence(
        own,
        within,
        every,
        call_day=chosen["day"].to_numpy(),
        call_row=chosen["row"].to_numpy().astype(np.int64),
        call_pool=chosen["pool"].to_numpy(),
        call_weight=chosen["weight"].to_numpy(),
        exposure=_by_day(
            places.pool[shown.number, begun],
            begun,
            -np.expm1(-lasted[:, None] / SECOND / MEANS),
            shape,
        ),
        calls_per_day=_by_day(pool, day, np.ones((asked.height, 1)), shape)[:, :, 0],
        pools=places.names,
        numbers=len(numbers),
    )


def _find_places(numbers: pl.Series, first_day: int, days: int, settings: Account) -> _Places:
    times = pl.DataFrame({"time": (first_day + np.arange(days)) * DAY})
    every = pl.DataFrame({"tracking_number": numbers}).join(times, how="cross")
    entry = with_entry(every, "time", settings)["entry"].to_numpy().reshape(len(numbers), days)
    of_entry = pool_names(settings)
    names = tuple(dict.fromkeys(of_entry))
    pool = np.array([names.index(name) for name in of_entry])
    return _Places(pool[entry], entry, names)


def _thin(asked: pl.DataFrame) -> pl.DataFrame:
    """The calls that are taken, with `weight`: of each pool every n-th."""
    most = -(-asked.height // MOST_CALLS)
    step = (pl.len() // MOST_POOL_CALLS).clip(1, max(most, 1)).over("pool").cast(pl.Int64)
    told = asked.with_columns(step.alias("step"), pl.int_range(pl.len()).over("pool").alias("nth"))
    taken = told.filter(pl.col("nth") % pl.col("step") == 0)
    return taken.with_columns(pl.col("step").cast(pl.Float64).alias("weight"))


def _by_day(pool: Ints, day: Ints, values: Floats, shape: tuple[int, int]) -> Floats:
    """Sums of the columns, (pool, day, column)."""
    summed = _summed(pool * shape[1] + day, values, shape[0] * shape[1])
    return summed.reshape(*shape, values.shape[1])


def _block(
    shown: Contacts, calls: pl.DataFrame, places: _Places, settings: Account
) -> tuple[Rates, Rates, Rates]:
    """Rates of the number called, of its pool and of all, for some calls in the order of time."""
    start, called, day = (calls[name].to_numpy() for name in ("start", "number", "day"))
    pairs = find_pairs(shown, start)
    call, number = pairs.call, shown.number[pairs.contact]
    models = entry_models(settings)
    entry = places.entry[number, day[call]]
    values = _contact_values(pairs.delay, entry, models)
    nobody = np.array([model.background_calls_per_day / DAY_SECONDS for model in models])
    freshest = np.full((len(start), len(places.pool)), np.inf)
    np.minimum.at(freshest, (call, number), pairs.delay)
    older = [freshest >= 0, *(freshest > age for age in STALE_SECONDS)]
    pool = places.pool[:, day].T
    numbers = np.arange(len(places.pool))
    # The numbers that count to a call: the one called, those of its pool, all.
    sides = (
        numbers == called[:, None],
        pool == pool[np.arange(len(start)), called][:, None],
        np.ones(pool.shape, bool),
    )
    found = []
    for side in sides:
        at = side[call, number]
        summed = _summed(call[at], values[at], len(start))
        stale = [
            [((pool == place) & side & old).sum(axis=1) for old in older]
            for place in range(len(places.names))
        ]
        found.append(
            Rates(
                summed[:, : len(MEANS)],
                summed[:, len(MEANS) : -1],
                np.array(stale, float).transpose(2, 0, 1),
                summed[:, -1] + (side * nobody[places.entry[:, day].T]).sum(axis=1),
            )
        )
    return found[0], found[1], found[2]


def _contact_values(delay: Floats, entry: Ints, models: Sequence[Model]) -> Floats:
    """Of each contact: calls a second of each part; the same within the window; as configured."""
    window = np.array([model.match_window_minutes * 60 for model in models])
    near = delay <= window[entry]
    density = np.exp(-delay[:, None] / MEANS) / MEANS
    usual = np.zeros(len(delay))
    for place, model in enumerate(models):
        at = near & (entry == place)
        means, weights = np.asarray(model.delay_means), np.asarray(model.delay_weights)
        usual[at] = np.exp(-delay[at, None] / means) @ (weights / means) * model.call_probability
    return np.concatenate([density, density * near[:, None], usual[:, None]], axis=1)


def _summed(place: Ints, values: Floats, size: int) -> Floats:
    """Sums of the columns by place."""
    columns = [np.bincount(place, column, size) for column in values.T]
    return np.stack(columns, axis=1).astype(float)


def merge_pools(evidence: Evidence, kept: Sequence[str]) -> Evidence:
    """The evidence with the pools that are not kept as one, named None, where there are any."""
    shown = evidence.every.stale[:, :, 0].any(axis=0) | evidence.exposure.any(axis=(1, 2))
    is_other = np.array([name not in kept for name in evidence.pools])
    names = (*kept, *([None] if (is_other & shown).any() else []))
    place = np.array([kept.index(n) if n in kept else len(kept) for n in evidence.pools])
    onto = (place[:, None] == np.arange(len(names))) * 1.0
    own, within, every = (
        side._replace(stale=np.einsum("cgt,gh->cht", side.stale, onto))
        for side in (evidence.own, evidence.within, evidence.every)
    )
    return replace(
        evidence,
        own=own,
        within=within,
        every=every,
        call_pool=place[evidence.call_pool],
        exposure=np.einsum("gdk,gh->hdk", evidence.exposure, onto),
        calls_per_day=onto.T @ evidence.calls_per_day,
        pools=names,
    )


def only_pool(evidence: Evidence, pool: int) -> Evidence:
    """The evidence of one pool by itself: its calls, among its numbers."""
    is_there = evidence.call_pool == pool
    own, within = (
        Rates(
            side.parts[is_there],
            side.near[is_there],
            side.stale[is_there, pool : pool + 1],
            side.configured[is_there],
        )
        for side in (evidence.own, evidence.within)
    )
    return replace(
        evidence,
        own=own,
        within=within,
        every=within,
        call_day=evidence.call_day[is_there],
        call_row=evidence.call_row[is_there],
        call_pool=np.zeros(is_there.sum(), np.int64),
        call_weight=evidence.call_weight[is_there],
        exposure=evidence.exposure[pool : pool + 1],
        calls_per_day=evidence.calls_per_day[pool : pool + 1],
        pools=(evidence.pools[pool],),
    )
