"""Saves once what is submitted twice: by a double click, the Back button or a lost response.

The hash covers the key, the URL and what was typed, so going Back and entering another name adds another lead. It is a
row of its own: a column would cost every save, two requests at once both overwrite a session, and a cache may be empty.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Final

from django.db import transaction
from django.db.models import Model

from crm.models import Company, Deal, IdempotencyRecord, Lead

KEPT_FOR: Final = timedelta(days=7)


def save_once(
    *, company: Company, sha256: str, save: Callable[[], Model]
) -> tuple[int, Model | None]:
    """Save, unless the company has submitted this before. Returns the row's id, and the row if it is new.

    Of two concurrent submissions, the second waits for the first; if the first fails, the second saves.
    """
    added = None
    with transaction.atomic():
        posted, is_first = IdempotencyRecord.objects.get_or_create(
            company=company, sha256=sha256
        )
        if is_first:
            added = save()
            posted.made_kind, posted.made_id = _kind(added), added.pk
            posted.save(update_fields=["made_kind", "made_id"])
    assert posted.made_id is not None
    return posted.made_id, added


def forget(*, row: Lead | Deal) -> None:
    """Let the form that added this row add it again: the row is being removed by an undo."""
    records = IdempotencyRecord.objects.for_company(row.company_id)
    records.filter(made_kind=_kind(row), made_id=row.pk).delete()


def _kind(row: Model) -> str:
    return row._meta.model_name or ""


def was_saved(*, company: Company, sha256: str) -> bool:
    """True if the company has submitted this before, and it was saved."""
    return IdempotencyRecord.objects.for_company(company).filter(sha256=sha256).exists()
