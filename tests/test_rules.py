"""The rule tables and their version (SPEC section 6)."""

import codecs
import re

import pytest

from schemas import rules


def test_the_rule_set_is_a_version_and_a_short_hash():
    """A row names the rules that made it, the same each time."""
    assert re.fullmatch(r"[0-9]+-[0-9a-f]{8}", rules.rule_set())
    rules.rule_set.cache_clear()
    assert rules.rule_set() == rules.rule_set()


@pytest.mark.parametrize("package", rules.DATA_PACKAGES)
def test_the_rule_set_changes_with_the_lists_that_come_as_packages(monkeypatch, package):
    """Suffixes, parsers' and crawlers' lists decide rows as the tables do."""
    before = rules.rule_set()
    version = rules.importlib.metadata.version
    rules.rule_set.cache_clear()
    monkeypatch.setattr(
        rules.importlib.metadata,
        "version",
        lambda name: "0" if name == package else version(name),
    )
    changed = rules.rule_set()
    monkeypatch.undo()
    rules.rule_set.cache_clear()
    assert changed != before
    assert rules.rule_set() == before


def test_every_table_is_hashed():
    """A change of any table changes the rule set."""
    assert rules._table_names() == ["channels.json", "clicks.json", "referrers.json"]


def test_click_ids_count_in_the_order_of_the_specification():
    """fbclid never makes a visit paid."""
    paid = [(click.name, click.source, click.medium) for click in rules.click_ids().paid]
    assert paid == [
        ("msclkid", "bing", "cpc"),
        ("gclid", "google", "cpc"),
        ("gbraid", "google", "cpc"),
        ("wbraid", "google", "cpc"),
        ("dclid", "google", "display"),
        ("ttclid", "tiktok", "cpc"),
        ("li_fat_id", "linkedin", "cpc"),
        ("twclid", "twitter", "cpc"),
    ]
    assert [click.name for click in rules.click_ids().unpaid] == ["fbclid"]


def test_every_engine_can_be_read():
    """Patterns compile with one group for the keyword, character sets are known, names lower."""
    for engine in rules.referrers().search:
        assert engine.name == engine.name.lower()
        assert engine.urls
        assert all(codecs.lookup(charset) for charset in engine.charsets)
        patterns = [param for param in engine.params if isinstance(param, re.Pattern)]
        assert all(pattern.groups == 1 for pattern in patterns)


def test_a_lone_slash_is_a_path_and_what_stands_between_slashes_is_a_pattern():
    """A hidden-keyword path that begins with a slash but does not end with one is literal."""
    hidden = next(one.hidden for one in rules.referrers().search if one.name == "startpage")
    written = [one if isinstance(one, str) else f"/{one.pattern}/" for one in hidden]
    assert written == ["/do/asearch", "/do/search", "/sp/search", "/^$/", "/"]
    assert [isinstance(one, str) for one in hidden] == [True, True, True, False, True]


def test_every_channel_rule_asks_what_is_known():
    """Fields and operators are those the README of the tables names."""
    conditions = [
        condition
        for rule in rules.channels().rules
        for alternative in rule.alternatives
        for condition in alternative
    ]
    fields = {condition.field for condition in conditions}
    operators = {condition.operator for condition in conditions}
    assert fields == {"source", "medium", "campaign", "category"}
    assert operators == {"in", "contains", "ends_with", "matches", "listed"}
    named = {one.value for one in conditions if one.operator == "matches"}
    assert named == set(rules.channels().patterns)
