"""What happens just before a transaction commits.

A hook of `transaction.on_commit` runs after COMMIT: with the connection, or the process, it can be lost. What must not
be lost runs before it, as late as possible: hardly anything can still roll the transaction back.
"""

from abc import ABC, abstractmethod
from typing import Any

from django.db import transaction


class BeforeCommit(ABC):
    """A hook of a transaction that runs before COMMIT, and once more after it.

    Like any hook, it is dropped with its transaction or savepoint.
    """

    def register(self, *, using: str) -> None:
        """Run it with the commit of the current transaction; outside any, at once."""
        transaction.on_commit(self.after_commit, using=using, robust=True)

    @abstractmethod
    def before_commit(self) -> None:
        """Called once the transaction has done all its work. If it raises, the transaction is rolled back."""

    @abstractmethod
    def after_commit(self) -> None:
        """Called after the commit. On other databases than PostgreSQL, nothing was called before."""


def registered(connection: Any) -> list[tuple[set[str], BeforeCommit]]:
    """The hooks of the current transaction, each with the savepoints that it is dropped with."""
    hooks = [
        (entry[0], getattr(entry[1], "__self__", None))
        for entry in connection.run_on_commit
    ]
    return [
        (savepoints, hook)
        for savepoints, hook in hooks
        if isinstance(hook, BeforeCommit)
    ]
