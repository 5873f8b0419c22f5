"""Databases of a PostgreSQL of its own, to dump, restore and compare.

`python -m tests.upgrades.databases 0.1.0` keeps a dump of this version with the demo's data, when it is released.
"""

import gzip
import os
import subprocess
import sys
import tempfile
from itertools import count
from pathlib import Path
from typing import Final

import psycopg

from postgresql.own_server import OwnServer, program

ROOT: Final = Path(__file__).resolve().parent.parent.parent
DUMPS: Final = Path(__file__).resolve().parent
UNLOGGED: Final = "-c fsync=off"  # none of this has to survive a power cut


class Databases:
    """A PostgreSQL in this folder, from `with` to its end."""

    def __init__(self, folder: Path) -> None:
        self.server = OwnServer(folder / "postgresql")
        self.numbers = count()

    def __enter__(self) -> "Databases":
        self.server.start(UNLOGGED)
        return self

    def __exit__(self, *error: object) -> None:
        self.server.stop()

    def new(self, name: str) -> str:
        """Create an empty database. Returns its URL."""
        with psycopg.connect(self.server.url, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        return self.server.url.replace("/postgres?", f"/{name}?")

    def schema(self, url: str) -> list[str]:
        """Everything that the database is made of, in an order that does not depend on when a column was added.

        Of a copy: PostgreSQL writes conditions of indexes in other words once they were dumped and restored.
        """
        copy = self.new(f"copy-{next(self.numbers)}")
        restore(copy, dump(url, "--schema-only"))
        lines = (
            line.strip().rstrip(",")
            for line in dump(copy, "--schema-only").decode().splitlines()
        )
        # A dump begins and ends with a key that is drawn each time.
        return sorted(
            line
            for line in lines
            if line and not line.startswith(("\\restrict", "\\unrestrict"))
        )


def dump(url: str, *words: str) -> bytes:
    """The database in SQL."""
    command = (
        program("pg_dump"),
        "--no-owner",
        "--no-privileges",
        *words,
        "--dbname",
        url,
    )
    return subprocess.run(command, check=True, capture_output=True).stdout


def manage(url: str, *words: str) -> None:
    """Run manage.py on this database, as in a development folder."""
    environment = {
        **os.environ,
        "DATABASE_URL": url,
        "DEBUG": "1",
        "LEADMACHINE_MAKE_RUN": "0",
    }
    subprocess.run(
        [sys.executable, "manage.py", *words],
        cwd=ROOT,
        env=environment,
        check=True,
        capture_output=True,
    )


def restore(url: str, sql: bytes) -> None:
    """Run what `dump` returned in an empty database."""
    command = (program("psql"), "--quiet", "--set", "ON_ERROR_STOP=1", "--dbname", url)
    subprocess.run(command, input=sql, check=True, capture_output=True)


def row_counts(url: str) -> dict[str, int]:
    """How many rows each of our tables has."""
    with psycopg.connect(url) as connection:
        names = "SELECT tablename FROM pg_tables WHERE tablename ~ '^(crm|capi)_' ORDER BY 1"
        tables = [name for (name,) in connection.execute(names)]
        return {
            table: connection.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0]
            for table in tables
        }


def main(release: str) -> None:
    with tempfile.TemporaryDirectory() as folder, Databases(Path(folder)) as databases:
        url = databases.new("release")
        manage(url, "migrate")
        manage(url, "demo")
        (DUMPS / f"{release}.sql.gz").write_bytes(gzip.compress(dump(url), mtime=0))


if __name__ == "__main__":
    main(sys.argv[1])
