"""What must change in BigQuery for it to hold what it should, and what must not. Pure."""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain

from pipelines.bigquery.compare import (
    TABLE_EXPIRATION,
    Difference,
    Found,
    Refusal,
    compare_dataset,
    compare_table,
    compare_view,
    days_text,
)
from pipelines.bigquery.names import Place
from pipelines.bigquery.wanted import Resource, State

EXPIRATION = "defaultPartitionExpirationMs"
BY_INSTRUCTION = (
    "the change needs a written reference: name the account in the configuration "
    "([accounts.NAME]) and run attribeam tables apply with --instruction TEXT"
)


@dataclass(frozen=True)
class Change:
    """What to do to a dataset, table or view; resource: all of it, or the fields to update."""

    action: str
    kind: str
    path: tuple[str, ...]
    resource: Resource
    words: tuple[str, ...] = ()
    is_decisive: bool = False

    @property
    def text(self) -> str:
        """The change in one line."""
        line = f"{self.action} {self.kind} {'.'.join(self.path)}"
        return f"{line}: {'; '.join(self.words)}" if self.words else line


@dataclass(frozen=True)
class Retention:
    """A change of how long an account's rows are kept, as milliseconds; None: without end."""

    place: Place
    old: str | None
    new: str

    @property
    def text(self) -> str:
        """The change in one line."""
        return (
            f"{self.place.whose}: rows are kept {days_text(self.new)} instead of "
            f"{days_text(self.old)}"
        )


@dataclass(frozen=True)
class Plan:
    """Changes in the order in which to make them, and what is refused."""

    changes: tuple[Change, ...] = ()
    refusals: tuple[str, ...] = ()
    retentions: tuple[Retention, ...] = ()

    @property
    def unmet(self) -> tuple[str, ...]:
        """What keeps rows from being written, other than what is simply not there yet."""
        updates = (c for c in self.changes if c.action == "update" and c.is_decisive)
        return (*self.refusals, *(change.text for change in updates))

    @property
    def creations(self) -> tuple[Change, ...]:
        """What is not there yet."""
        return tuple(change for change in self.changes if change.action == "create")

    @property
    def opening(self) -> tuple[Change, ...]:
        """What comes first: datasets and tables to make, in datasets whose tables do not expire."""
        lasting = (
            replace(change, resource={TABLE_EXPIRATION: None})
            for change in self.changes
            if change.action == "update" and TABLE_EXPIRATION in change.resource
        )
        return (*lasting, *(change for change in self.creations if change.kind != "view"))

    @property
    def rest(self) -> tuple[Change, ...]:
        """All other changes: of what is there, then views, which keep the columns they find."""
        return tuple(c for c in self.changes if c.action == "update" or c.kind == "view")


def make_plan(
    wanted: State, actual: State, places: Iterable[Place], instruction: str | None = None
) -> Plan:
    """Compares what should be with what is.

    Datasets come before their tables, tables before views; of a dataset that is refused nothing
    else is said. How long rows of `places` are kept changes only with an instruction.
    """
    datasets = {
        name: [*_settle("dataset", (name,), dataset, actual.datasets.get(name), compare_dataset)]
        for name, dataset in wanted.datasets.items()
    }
    refused = {name for name, items in datasets.items() if any(_refusals(items))}
    tables = {path: table for path, table in wanted.tables.items() if path[0] not in refused}
    items = [*chain.from_iterable(datasets.values()), *_table_items(tables, actual)]
    own = State(wanted.datasets, tables)
    retentions = [*_retentions(own, actual, (p for p in places if p.dataset not in refused))]
    refusals = [*_refusals(items)]
    if not instruction:
        refusals += [f"{change.text}: {BY_INSTRUCTION}" for change in retentions]
    changes = tuple(item for item in items if isinstance(item, Change))
    return Plan(changes, tuple(refusals), tuple(retentions))


def keep_retention(wanted: State, actual: State, datasets: Collection[str]) -> State:
    """What is wanted, but rows of these datasets are kept as long as they are now.

    A new table has its dataset's default; a dataset without one gets it as wanted, which changes
    no table that is there.
    """
    kept = State({**wanted.datasets}, {**wanted.tables})
    for name in datasets:
        default = actual.datasets.get(name, {}).get(EXPIRATION)
        if default is not None:
            kept.datasets[name] = wanted.datasets[name] | {EXPIRATION: default}
    for path, table in wanted.tables.items():
        if path[0] in datasets and "timePartitioning" in table:
            default = kept.datasets[path[0]][EXPIRATION]
            found = actual.tables.get(path, {"timePartitioning": {"expirationMs": default}})
            expiration = (found.get("timePartitioning") or {}).get("expirationMs")
            partitioning = table["timePartitioning"] | {"expirationMs": expiration}
            kept.tables[path] = table | {"timePartitioning": partitioning}
    return kept


def check_locations(places: Iterable[Place]) -> Iterator[str]:
    """Says which datasets would lie outside the locations that their account allows."""
    for place in places:
        if place.allowed_locations and not _allows(place, place.location):
            yield (
                f"{place.whose}: its dataset would lie in {place.location}, which is not one of "
                f"allowed_locations ({', '.join(place.allowed_locations)})"
            )


def check_region(places: Iterable[Place], region: str | None) -> Iterator[str]:
    """Says whose rows a run may not write from where it works.

    region: as pipelines.outputs.work_regions says it; None where it is not known.
    """
    regions = region.split(",") if region else []
    for place in places:
        allowed = ", ".join(place.allowed_locations)
        if allowed and not regions:
            yield (
                f"{place.whose}: allowed_locations is set ({allowed}), and where this run works is "
                "not known: say it with --region, such as --region europe-west3"
            )
        for each in regions:
            if allowed and not _allows(place, each):
                yield (
                    f"{place.whose}: this run works in {each}, which is not one of "
                    f"allowed_locations ({allowed})"
                )


def _allows(place: Place, location: str) -> bool:
    return location.lower() in {allowed.lower() for allowed in place.allowed_locations}


def _table_items(
    wanted: dict[tuple[str, str], Resource], actual: State
) -> Iterator[Change | Refusal]:
    for path, table in wanted.items():
        kind = "view" if "view" in table else "table"
        compare = compare_view if kind == "view" else compare_table
        yield from _settle(kind, path, table, actual.tables.get(path), compare)


def _refusals(items: Iterable[Change | Refusal]) -> Iterator[str]:
    return (item.words for item in items if isinstance(item, Refusal))


def _settle(
    kind: str,
    path: tuple[str, ...],
    wanted: Resource,
    actual: Resource | None,
    compare: Callable[[str, Resource, Resource], Found],
) -> Iterator[Change | Refusal]:
    if actual is None:
        yield Change("create", kind, path, wanted)
        return
    found = [*compare(".".join(path), wanted, actual)]
    yield from (item for item in found if isinstance(item, Refusal))
    differences = [item for item in found if isinstance(item, Difference)]
    if differences:
        patch = {key: value for d in differences for key, value in d.patch.items()}
        words = tuple(difference.words for difference in differences)
        is_decisive = any(difference.is_decisive for difference in differences)
        yield Change("update", kind, path, patch, words, is_decisive)


def _retentions(wanted: State, actual: State, places: Iterable[Place]) -> Iterator[Retention]:
    """Places of which the dataset or a table keeps rows for another time than wanted.

    A dataset without tables keeps none, however it was made.
    """
    for place in places:
        if place.dataset not in actual.datasets:
            continue
        new = wanted.datasets[place.dataset][EXPIRATION]
        kept = [
            (actual.tables[path].get("timePartitioning") or {}).get("expirationMs")
            for path, table in wanted.tables.items()
            if path[0] == place.dataset and path in actual.tables and "timePartitioning" in table
        ]
        if not kept:
            continue
        other = [
            old for old in (actual.datasets[place.dataset].get(EXPIRATION), *kept) if old != new
        ]
        if other:
            yield Retention(place, other[0], new)
