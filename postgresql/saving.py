"""Whether this thread may have saved anything: what an error page may say after the database has failed."""

import re
import threading
from typing import Any, Final

from django.db import Error

# Also a row that a query writes (WITH … INSERT). A row that is only locked is not written.
_WRITE: Final = re.compile(r"\s*(?:INSERT|UPDATE|DELETE|MERGE|COPY)\b")
_WRITE_IN_QUERY: Final = re.compile(
    r"\s*WITH\b.*(?:INSERT INTO|(?<!FOR )(?<!KEY )UPDATE|DELETE FROM)\b", re.DOTALL
)


class _Saving(threading.local):
    has_written = False  # in the current transaction
    may_have_saved = False


_saving = _Saving()


def begin() -> None:
    """Count from now on."""
    _saving.has_written = _saving.may_have_saved = False


def may_have_saved() -> bool:
    """Return True if this thread has committed a write since `begin`, or has lost the connection while it did."""
    return _saving.may_have_saved


def note_commit() -> None:
    """Note that the transaction is about to be committed: from now on, only the server knows."""
    _saving.may_have_saved = _saving.may_have_saved or _saving.has_written
    _saving.has_written = False


def note_rollback() -> None:
    _saving.has_written = False


def note_write(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
    """Execute the statement (an execute wrapper of Django's), and note a write."""
    if not _WRITE.match(sql) and not _WRITE_IN_QUERY.match(sql):
        return execute(sql, params, many, context)
    _saving.has_written = True
    is_alone = not context["connection"].in_atomic_block
    try:
        return execute(sql, params, many, context)
    except Error as error:
        # The server has answered: nothing of it is left.
        if is_alone and getattr(error.__cause__, "sqlstate", None):
            _saving.has_written = False
        raise
    finally:
        if is_alone:
            note_commit()
