"""What people searched for among the leads, kept for them: names and addresses belong in no access log.

The address of a page holds a short key to it: each tab keeps its own search, and going back works.
"""

import re
import secrets
from datetime import timedelta
from typing import Final

from crm.models import LeadSearch, Membership

KEPT_FOR: Final = timedelta(days=7)  # as long as a session lasts at most

_IS_KEY = re.compile(r"[A-Za-z0-9_-]{1,16}")


def remember_search(membership: Membership, text: str) -> str:
    """Keep a search of this member, and return its key for the address."""
    own = LeadSearch.objects.for_company(membership.company).filter(user=membership.user)
    made, _ = own.get_or_create(
        text=text, defaults={"company": membership.company, "user": membership.user, "key": secrets.token_urlsafe(6)}
    )
    return made.key


def recall_search(membership: Membership, key: str) -> str:
    """What the member searched for, or nothing where it was not they who did, or where it is forgotten."""
    if not _IS_KEY.fullmatch(key):
        return ""
    own = LeadSearch.objects.for_company(membership.company).filter(user=membership.user)
    return own.filter(key=key).values_list("text", flat=True).first() or ""
