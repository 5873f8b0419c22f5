"""Which company a request comes from, as far as a web process knows before it has read the session or the API key.

It remembers the company of each session and key from its last request. Only the order in which requests are answered
rests on that (leadmachine/fair_dispatcher.py): what a caller may see and do is read again for each request.
"""

from collections.abc import Hashable, Mapping
from typing import Any, Final, NamedTuple

from django.conf import settings
from django.http import HttpRequest
from django.http.cookie import parse_cookie

from crm.accounts.client_addresses import client_network

KNOWN_AT_MOST: Final = 10_000  # sessions and keys, in one process
# Where programs call, not people: their errors are JSON.
PROGRAM_PATHS: Final = ("/api/", "/in/")
COMPANY: Final = "leadmachine.company"  # in `request.META`: the company's id, or None


class Caller(NamedTuple):
    """Who sent a request. Without a known session or API key, the address counts as a company."""

    company: Hashable
    session: Hashable = None


class KnownCallers:
    """The companies of the sessions and API keys that a process has seen. Stores hashes of these, not themselves."""

    def __init__(self) -> None:
        self._companies: dict[int, int] = {}

    def find(self, environ: Mapping[str, Any]) -> Caller:
        """Return who sent a request with this address and these headers, named as in WSGI."""
        for credential in _credentials(environ):
            company = self._companies.get(credential)
            if company is not None:
                return Caller(company, credential)
        request = HttpRequest()
        request.META = {**environ}
        return Caller(client_network(request))

    def learn(self, environ: Mapping[str, Any]) -> None:
        """Remember what a request has shown once it was answered."""
        if COMPANY not in environ:
            return  # a static file, for example: no one has asked
        company = environ[COMPANY]
        for credential in _credentials(environ):
            if company is None:
                self._companies.pop(credential, None)
                continue
            if len(self._companies) >= KNOWN_AT_MOST:
                self._companies.clear()
            self._companies[credential] = company


def _credentials(environ: Mapping[str, Any]) -> list[int]:
    """The session and the API key, each by itself: anyone who varies the one that isn't read stays who they are."""
    session = parse_cookie(environ.get("HTTP_COOKIE", "")).get(
        settings.SESSION_COOKIE_NAME
    )
    key = environ.get("HTTP_AUTHORIZATION")
    return [
        hash((name, text))
        for name, text in (("session", session), ("key", key))
        if text
    ]
