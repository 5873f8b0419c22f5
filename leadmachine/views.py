"""What a container runtime, a load balancer or a person on duty asks. Both answer in JSON, whatever is wrong."""

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
    """200 while this process answers at all. It asks nobody: starting it again would mend nothing that is elsewhere."""
    return JsonResponse({"status": "ok"})


def readyz(request: HttpRequest) -> HttpResponse:
    """200 where this process can do what it is for, otherwise 503 with a sentence for each thing that is missing."""
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
    except Exception:  # whatever it is, a probe is told in JSON
        logger.exception("It can't be told which migrations are applied.")
        yield "It can't be told which migrations are applied: the log says why."
    else:
        if left:
            yield f"{left} {'migrations are' if left > 1 else 'migration is'} not applied: run manage.py migrate."
        if is_read_only:
            yield "The database is read-only, as a standby is before it is promoted."


def _is_read_only() -> bool:
    if connection.vendor != "postgresql":
        return False
    with connection.cursor() as cursor:
        cursor.execute("SHOW transaction_read_only")
        return bool(cursor.fetchone() == ("on",))


@cache
def _migrations() -> frozenset[tuple[str, str]]:
    """Those of this process's code. Django would load their modules again for each probe."""
    return frozenset(MigrationLoader(None).graph.nodes)


def _static_files() -> Iterator[str]:
    # The list is read once, at the start: a process that was started without it goes on without it.
    storage: object = staticfiles_storage
    if isinstance(storage, ManifestFilesMixin) and not storage.hashed_files:
        yield "Static files are not collected: run manage.py collectstatic, then start this process again."
