"""The formula of SPEC section 8, worked out by hand."""

import math

import polars as pl
import pytest
from tables import B2, DEFAULTS, T, account, calls, modelled, showings

from schemas.config import Config
from transforms.candidates import find_candidates
from transforms.probabilities import delay_density, rounded, share, total_weights, with_weights
from transforms.settings import MICROSECONDS, MINUTE

# 0.8 / 180 + 0.2 / 1800 = 8.2 / 1800
AT_ONCE = 0.004555555555555556


def density(seconds: float, means: list[float], weights: list[float], terms: int) -> float:
    row = pl.DataFrame({"d": [seconds], "delay_means": [means], "delay_weights": [weights]})
    return row.select(h=delay_density(pl.col("d"), terms)).item()


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, AT_ONCE),
        # 0.8/180 e^(-1/3) + 0.2/1800 e^(-1/30) = 0.0031845837 + 0.0001074684
        (60, 0.00329205205815928622),
        # 0.8/180 e^(-10/3) + 0.2/1800 e^(-1/3) = 0.0001585511 + 0.0000796146
        (600, 0.000238165671607098351),
    ],
)
def test_the_default_density_of_the_delay(seconds: float, expected: float) -> None:
    """h(d) is 80 % of calls after 3 minutes on average and 20 % after 30."""
    assert density(seconds, [180, 1800], [0.8, 0.2], 2) == pytest.approx(expected, rel=1e-14)


def test_a_shorter_list_has_no_further_terms() -> None:
    """Pools may have mixtures of different lengths; what a list lacks adds nothing."""
    assert density(60, [60], [1.0], 3) == pytest.approx(math.exp(-1) / 60, rel=1e-15)


def weights(config: Config, *rows: dict[str, object]) -> list[float]:
    called = modelled(calls(*rows), config)
    shown = showings({}, {"tracking_number": B2, "visitor_id": "w"})
    weighed = with_weights(find_candidates(shown, called), called).sort("call_id")
    return weighed["weight"].to_list()


def test_a_sessions_weight_is_the_call_probability_times_the_density() -> None:
    """0.02 * h(0) and, ten minutes after the display, 0.02 * h(600)."""
    found = weights(DEFAULTS, {}, {"start": T + 10 * MINUTE})
    assert found == pytest.approx([0.02 * AT_ONCE, 4.76331343214196702e-6], rel=1e-14)


def test_each_call_is_weighed_by_the_parameters_of_its_number() -> None:
    """B2's pool has one mean of 60 s and half of its visitors call: 0.5 / 60 at once."""
    pool = {"name": "p", "numbers": [B2], "call_probability": 0.5}
    config = account(pools=[pool | {"delay_means": [60.0], "delay_weights": [1.0]}])
    found = weights(config, {}, {"tracking_number": B2})
    assert found == pytest.approx([0.02 * AT_ONCE, 0.5 / 60], rel=1e-14)


def test_a_weight_is_the_same_alone_and_beside_others() -> None:
    """To the last bit: how many calls share a table must not show in a probability."""
    starts = [T + second * MICROSECONDS + second * 37 for second in range(0, 1800, 7)]
    together = weights(DEFAULTS, *({"call_id": f"{at}", "start": at} for at in starts))
    alone = [weights(DEFAULTS, {"start": at})[0] for at in starts]
    assert together == alone


def totals(lists: list[list[float]], none: float | None, saved: float | None) -> list[float]:
    called = calls(*({} for _ in lists)).with_columns(w_none=pl.lit(none), w_saved=pl.lit(saved))
    rows = [("a", f"c{n}", weight) for n, found in enumerate(lists) for weight in found]
    schema = {"account": pl.String, "call_id": pl.String, "w": pl.Float64}
    candidates = pl.DataFrame(rows, schema=schema, orient="row")
    return total_weights(called, candidates, "w")["total"].to_list()


def test_the_total_is_of_candidates_nobody_and_the_kept_number() -> None:
    """A hypothesis that does not stand weighs nothing; a call may have no candidate."""
    assert totals([[0.25, 0.5], []], 0.125, None) == [0.875, 0.125]
    assert totals([[0.25]], None, 0.5) == [0.75]
    assert totals([[]], None, None) == [0.0]


def test_the_total_does_not_depend_on_the_order_of_candidates() -> None:
    """Sums are correctly rounded: ten times 0.1 beside 1e16 give the same from every order."""
    many = [1e16, *[0.1] * 10, 1.0]
    assert totals([many, many[::-1]], 0.0, 0.0) == [1e16 + 2.0, 1e16 + 2.0]


def test_a_share_is_the_weight_over_the_total() -> None:
    """Where all weights are zero it is what is told: none is 1 and the others 0."""
    rows = pl.DataFrame({"w": [1.0, 0.0, None], "total": [4.0, 0.0, 0.0]})
    found = rows.select(none=share("w", 1.0), other=share("w", 0.0))
    assert found["none"].to_list() == [0.25, 1.0, None]
    assert found["other"].to_list() == [0.25, 0.0, None]


def test_probabilities_are_compared_by_nine_decimals() -> None:
    """A difference in the tenth decimal is none."""
    rows = pl.DataFrame({"p": [0.4999999996, 0.4999999994, 1 / 3]})
    assert rows.select(rounded("p"))["p"].to_list() == [0.5, 0.499999999, 0.333333333]
