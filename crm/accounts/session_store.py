"""Sessions in the database (SESSION_ENGINE): Django's, but an outage while one is saved is reported as what it is.

Django takes every database error there as a session that was deleted meanwhile, and answers 400: "The user may have
logged out in a concurrent request". A full or read-only database would then look like a mistake of the browser.
"""

from django.contrib.sessions.backends import db
from django.contrib.sessions.backends.base import UpdateError

from postgresql.availability import why_unavailable


class SessionStore(db.SessionStore):
    def save(self, must_create: bool = False) -> None:
        """Save the session. Raises django.db.Error if the database is unavailable, UpdateError if the row is gone."""
        try:
            super().save(must_create)
        except UpdateError as error:
            cause = error.__context__
            if cause is not None and why_unavailable(cause) is not None:
                raise cause from cause.__cause__
            raise
