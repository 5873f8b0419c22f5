"""Stores lead searches, because names and e-mail addresses must not be in the access log.

The URL holds only a short key: each tab keeps its own search, and the Back button works.
"""

import re
import secrets
from datetime import timedelta
from typing import Final

from crm.models import LeadSearch, Membership

KEPT_FOR: Final = timedelta(days=7)  # the maximum length of a session

_KEY = re.compile(r"[A-Za-z0-9_-]{1,16}")


def remember_search(membership: Membership, text: str) -> str:
    """Store a member's search. Returns its key for the URL."""
    own = LeadSearch.objects.for_company(membership.company).filter(
        user=membership.user
    )
    search, _ = own.get_or_create(
        text=text,
        defaults={
            "company": membership.company,
            "user": membership.user,
            "key": secrets.token_urlsafe(6),
        },
    )
    return search.key


def recall_search(membership: Membership, key: str) -> str:
    """The text of a member's search; "" if the search is unknown, expired or another member's."""
    if not _KEY.fullmatch(key):
        return ""
    own = LeadSearch.objects.for_company(membership.company).filter(
        user=membership.user
    )
    return own.filter(key=key).values_list("text", flat=True).first() or ""
