"""What is posted twice is made once: a double click, Back and again, a browser that never got its answer."""

from collections.abc import Callable
from datetime import timedelta
from typing import Final

from django.db import transaction
from django.db.models import Model

from crm.models import Company, IdempotencyRecord

KEPT_FOR: Final = timedelta(days=7)


def save_once(*, company: Company, sha256: str, save: Callable[[], Model]) -> tuple[int, Model | None]:
    """Save, unless the company has posted this before. Returns the id of what came of it, and that itself if it is new.

    Of two that come at once the second waits for the first; where the first fails, the second saves.
    """
    made = None
    with transaction.atomic():
        posted, is_first = IdempotencyRecord.objects.get_or_create(company=company, sha256=sha256)
        if is_first:
            made = save()
            posted.made_id = made.pk
            posted.save(update_fields=["made_id"])
    assert posted.made_id is not None
    return posted.made_id, made
