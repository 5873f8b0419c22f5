"""The database of each release is migrated to this version: the schema is the newest, and no row is lost."""

import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.upgrades.databases import DUMPS, Databases, manage, restore, row_counts

RELEASES = sorted(DUMPS.glob("*.sql.gz"))

pytestmark = pytest.mark.processes


@pytest.fixture(scope="module")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    with Databases(tmp_path_factory.mktemp("upgrades")) as databases:
        yield databases


@pytest.fixture(scope="module")
def newest(databases: Databases) -> list[str]:
    """The schema of an empty database with all migrations."""
    url = databases.new("newest")
    manage(url, "migrate")
    return databases.schema(url)


@pytest.mark.parametrize(
    "dump", RELEASES, ids=lambda dump: dump.name.removesuffix(".sql.gz")
)
def test_a_release_is_upgraded_in_one_step(
    databases: Databases, newest: list[str], dump: Path
) -> None:
    url = databases.new(dump.name)
    restore(url, gzip.decompress(dump.read_bytes()))
    before = row_counts(url)

    manage(url, "migrate")

    assert before["crm_lead"] > 0
    assert databases.schema(url) == newest
    after = row_counts(url)
    assert {table: after[table] for table in before} == before


def test_there_is_a_release_to_upgrade() -> None:
    assert RELEASES
