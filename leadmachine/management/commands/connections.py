"""`manage.py connections`: how many connections these processes need, and whether PostgreSQL accepts as many."""

import os
from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

from django.conf import settings
from django.core.management import BaseCommand, CommandError
from django.db import Error, connection

from leadmachine import database_connections, gunicorn
from leadmachine.database_connections import OTHERS, RESERVED, Processes


class Command(BaseCommand):
    help = (
        "Print how many connections to PostgreSQL these processes need, and what its max_connections and the pool of a "
        "PgBouncer must be. Exits with 1 if PostgreSQL accepts fewer."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--web",
            type=_count,
            default=os.environ.get("WEB_CONCURRENCY", "1"),
            help="how many web processes, on all machines (default: WEB_CONCURRENCY, or 1)",
        )
        parser.add_argument(
            "--threads",
            type=_count,
            default=gunicorn.threads,
            help="how many threads each of them has (default: %(default)s)",
        )
        parser.add_argument(
            "--workers",
            type=_count,
            default=0 if settings.EMBEDDED_WORKER else 1,
            help="how many workers, on all machines (default: %(default)s)",
        )
        parser.add_argument(
            "--concurrency",
            type=_count,
            default=database_connections.concurrency_of({}),
            help="the --concurrency of each worker (default: the processors of this machine, %(default)s)",
        )

    def handle(
        self, *, web: int, threads: int, workers: int, concurrency: int, **options: Any
    ) -> None:
        processes = Processes(
            web=web, threads=threads, workers=workers, concurrency=concurrency
        )
        self._print_need(processes)
        self._compare(processes.needed)

    def _print_need(self, processes: Processes) -> None:
        of_web = database_connections.of_web(threads=processes.threads)
        of_worker = database_connections.of_worker(processes.concurrency)
        self.stdout.write(
            f"Web processes: {processes.web}, each takes up to {of_web} connections.\n"
            f"Workers: {processes.workers}, each takes up to {of_worker} connections.\n"
            f"All of them: {processes.connections}. Twice that while a deploy replaces them, and {OTHERS} for commands "
            f"and tools: {processes.needed}.\n"
            f"PostgreSQL: max_connections = {processes.needed + RESERVED} or more ({RESERVED} are reserved).\n"
            f"PgBouncer, if there is one: default_pool_size = {processes.needed} or more, or a smaller one with "
            "?conn_max_age=0 in DATABASE_URL."
        )

    def _compare(self, needed: int) -> None:
        try:
            room = database_connections.read_room()
        except Error as error:
            raise CommandError(f"The database can't be reached: {error}") from error
        finally:
            connection.close()
        if needed > room.limit:
            raise CommandError(
                f"PostgreSQL accepts {room.limit} connections, which is {needed - room.limit} too few. Raise "
                "max_connections, or the limit of the role or database (docs/operating.md)."
            )
        self.stdout.write(f"PostgreSQL accepts {room.limit}: enough.")


def _count(given: str) -> int:
    """Return the number. Raises ArgumentTypeError unless it is 0 or more."""
    if not given.isdecimal():
        raise ArgumentTypeError(f"{given} is not a number of 0 or more.")
    return int(given)
