"""What people searched for among the leads, kept in their sessions: names and addresses belong in no access log.

The address of a page holds a short key to it: each tab keeps its own search, and going back works.
"""

import secrets
from typing import Any, Final

from django.contrib.auth import SESSION_KEY as AUTH_USER_KEY
from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session

from crm.models import Membership

SEARCHES_KEPT: Final = 20
SESSION_KEY: Final = "lead_searches"


def remember_search(session: SessionBase, text: str) -> str:
    """Keep a search in the session, and return its key for the address."""
    searches: dict[str, str] = session.get(SESSION_KEY, {})
    for key, kept in searches.items():
        if kept == text:
            return key
    key = secrets.token_urlsafe(6)
    session[SESSION_KEY] = dict([*searches.items(), (key, text)][-SEARCHES_KEPT:])
    return key


def recall_search(session: SessionBase, key: str) -> str:
    """What was searched for, or nothing where the session no longer knows."""
    text: str = session.get(SESSION_KEY, {}).get(key, "")
    return text


def forget_searches(company_id: int) -> None:
    """Take the searches out of all sessions of everybody who is or was a member, also of sessions that have ended.

    Whose a session is stands in its data alone, so that all of them are read. Call it inside a transaction.
    """
    users = {str(pk) for pk in Membership.objects.filter(company=company_id).values_list("user", flat=True)}
    found = [session.pk for session in Session.objects.iterator() if _holds_searches_of(users, session.get_decoded())]
    for session in Session.objects.select_for_update().filter(pk__in=found).order_by("pk"):
        kept = {name: value for name, value in session.get_decoded().items() if name != SESSION_KEY}
        session.session_data = SessionStore().encode(kept)
        session.save(update_fields=["session_data"])


def _holds_searches_of(users: set[str], values: dict[str, Any]) -> bool:
    return SESSION_KEY in values and values.get(AUTH_USER_KEY) in users
