"""The health checks for container runtimes, load balancers and operators. They always respond in JSON."""

import logging
from collections.abc import Callable, Iterator
from functools import cache
from typing import Final

from django.contrib.staticfiles.storage import ManifestFilesMixin, staticfiles_storage
from django.db import InterfaceError, OperationalError, connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.http import HttpRequest, HttpResponse, JsonResponse

logger = logging.getLogger(__name__)


def healthz(request: HttpRequest) -> HttpResponse:
    """Return 200 as long as this process responds. Checks nothing else: a restart can't fix other services."""
    return JsonResponse({"status": "ok"})


def readyz(request: HttpRequest) -> HttpResponse:
    """Return 200 if this process can serve requests, otherwise 503 with a sentence for each problem."""
    missing = [*_database_or_migrations(), *_static_files()]
    if missing:
        return JsonResponse({"status": "not ready", "missing": missing}, status=503)
    return JsonResponse({"status": "ready"})


PROBES: Final[dict[str, Callable[[HttpRequest], HttpResponse]]] = {"/healthz": healthz, "/readyz": readyz}


def _database_or_migrations() -> Iterator[str]:
    try:
        left = len(_migrations() - MigrationRecorder(connection).applied_migrations().keys())
        is_read_only = _is_read_only()
    except (OperationalError, InterfaceError):
        yield "The database can't be reached."
    except Exception:  # whatever happens, a probe gets JSON
        logger.exception("The applied migrations can't be read.")
        yield "The applied migrations can't be read: see the log."
    else:
        if left:
            yield f"{left} {'migrations are' if left > 1 else 'migration is'} not applied: run manage.py migrate."
        if is_read_only:
            yield "The database is read-only, like a standby that is not promoted yet."


def _is_read_only() -> bool:
    if connection.vendor != "postgresql":
        return False
    with connection.cursor() as cursor:
        cursor.execute("SHOW transaction_read_only")
        return bool(cursor.fetchone() == ("on",))


@cache
def _migrations() -> frozenset[tuple[str, str]]:
    """Return the migrations in the code. Cached, because Django would load their modules again for each probe."""
    return frozenset(MigrationLoader(None).graph.nodes)


def _static_files() -> Iterator[str]:
    # The manifest is read once, when the process starts.
    storage: object = staticfiles_storage
    if isinstance(storage, ManifestFilesMixin) and not storage.hashed_files:
        yield "Static files are not collected: run manage.py collectstatic, then restart this process."
