"""`Idempotency-Key`: a request repeated because its response was lost adds nothing."""

import hashlib
import json
import re
from collections.abc import Callable
from typing import Any, Final

from django.db.models import Model
from drf_spectacular.utils import OpenApiParameter
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from crm.api.viewsets import Conflict
from crm.models import Company
from crm.services.idempotency import save_once

HEADER: Final = "Idempotency-Key"
PATTERN: Final = r"[!-~]{1,200}"
INVALID_KEY: Final = "Enter 1 to 200 printable ASCII characters without spaces."

IDEMPOTENCY_KEY: Final = OpenApiParameter(
    HEADER,
    {"type": "string", "pattern": f"^{PATTERN}$"},
    OpenApiParameter.HEADER,
    description="Any text you choose. If you send the same body again with the same key within a week, nothing more is "
    "added, and the response has what the first request added.",
)


class AddedRowGone(Conflict):
    """The row that the request added has since been deleted or erased."""

    default_detail = "The row that this request added no longer exists. Send another Idempotency-Key to add it again."


def saved_once(request: Request, company: Company, save: Callable[[], Model]) -> tuple[int, Model | None]:
    """Save, unless the same request with the same key has already done so. Returns the same as `save_once`.

    Without a key, always saves. Raises ValidationError for an invalid key.
    """
    key = request.headers.get(HEADER)
    if key is None:
        added = save()
        return added.pk, added
    if not re.fullmatch(PATTERN, key):
        raise ValidationError({HEADER: [INVALID_KEY]})
    return save_once(company=company, sha256=_sha256(request.path, key, request.data), save=save)


def _sha256(path: str, key: str, body: Any) -> str:
    return hashlib.sha256(json.dumps([path, key, body], sort_keys=True).encode()).hexdigest()
