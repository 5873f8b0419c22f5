"""A company that is connected to a strict stand-in for LinkedIn on a real socket, and rows of a whole module."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest
from django.test import TransactionTestCase

from capi import services
from capi.delivery import http_session
from capi.linkedin.sandbox.request_log import RequestLog
from capi.linkedin.sandbox.server import SandboxServer
from capi.models import Connection, ConversionRule
from crm.models import Company
from tests import emptying
from tests.conftest import TOKEN

GOOD_RULE = "104012"


@pytest.fixture
def sandbox(settings: Any, tmp_path: Any) -> Iterator[SandboxServer]:
    with SandboxServer("127.0.0.1", 0, RequestLog(tmp_path / "ledger.jsonl"), hold_seconds=5) as server:
        settings.LINKEDIN_API_URL = server.url
        yield server
        http_session.close()


@pytest.fixture
def connected(company: Company, sandbox: SandboxServer) -> Connection:
    return services.save_token(company=company, token=TOKEN)


@pytest.fixture
def token(company: Company) -> Connection:
    """A saved token, with nobody at LinkedIn's end."""
    return services.save_token(company=company, token=TOKEN)


@pytest.fixture
def make_rule(company: Company) -> Callable[..., ConversionRule]:
    def make(crm_event: str = "lead_created", linkedin_id: str = GOOD_RULE, **fields: Any) -> ConversionRule:
        defaults = {"company": company, "name": crm_event.replace("_", " ").capitalize()}
        return ConversionRule.objects.create(crm_event=crm_event, linkedin_id=linkedin_id, **{**defaults, **fields})

    return make


@pytest.fixture(scope="module")
def committed(django_db_setup: None, django_db_blocker: Any) -> Iterator[Callable[[], AbstractContextManager[None]]]:
    """The context in which a fixture of a module commits rows. Its tests only read them; deleted after the last."""
    yield django_db_blocker.unblock
    with django_db_blocker.unblock():
        emptying.empty(TransactionTestCase())
