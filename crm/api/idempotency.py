"""`Idempotency-Key`: what a script sends again, because it never got its answer, adds nothing more."""

import hashlib
import json
import re
from collections.abc import Callable
from typing import Any, Final

from django.db.models import Model
from drf_spectacular.utils import OpenApiParameter
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from crm.api.exceptions import Conflict
from crm.models import Company
from crm.services.idempotency import save_once

HEADER: Final = "Idempotency-Key"
SHAPE: Final = r"[!-~]{1,200}"
WRONG_SHAPE: Final = "It has 1 to 200 plain letters, digits and signs."

ONCE: Final = OpenApiParameter(
    HEADER,
    {"type": "string", "pattern": f"^{SHAPE}$"},
    OpenApiParameter.HEADER,
    description="Any text of your own. The same body sent again with the same key within a week adds nothing more "
    "and is answered with what the first request added.",
)


class GoneSince(Conflict):
    """What the request added was deleted or erased since."""

    default_detail = "What this request added is gone. Send another Idempotency-Key to add it again."


def saved_once(request: Request, company: Company, save: Callable[[], Model]) -> tuple[int, Model | None]:
    """Save, unless this very request did so before; without a key, in any case. Returns as `save_once` does.

    Raises ValidationError where the header can be no key.
    """
    key = request.headers.get(HEADER)
    if key is None:
        made = save()
        return made.pk, made
    if not re.fullmatch(SHAPE, key):
        raise ValidationError({HEADER: [WRONG_SHAPE]})
    return save_once(company=company, sha256=_sha256(request.path, key, request.data), save=save)


def _sha256(path: str, key: str, body: Any) -> str:
    return hashlib.sha256(json.dumps([path, key, body], sort_keys=True).encode()).hexdigest()
