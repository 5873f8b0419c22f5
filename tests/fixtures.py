"""A company that is connected to a strict stand-in for LinkedIn on a real socket, and rows shared by a module."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction
from django.test import TransactionTestCase, override_settings

from capi import services
from capi.delivery import http_session
from capi.linkedin.sandbox.request_log import RequestLog
from capi.linkedin.sandbox.server import SandboxServer
from capi.models import Connection, ConversionRule
from crm.models import Company
from tests import emptying
from tests.conftest import TOKEN, storages_with

GOOD_RULE = "104012"


@pytest.fixture
def sandbox(settings: Any, tmp_path: Any) -> Iterator[SandboxServer]:
    with SandboxServer(
        "127.0.0.1", 0, RequestLog(tmp_path / "ledger.jsonl"), hold_seconds=5
    ) as server:
        settings.LINKEDIN_API_URL = server.url
        yield server
        http_session.close()


@pytest.fixture
def connected(company: Company, sandbox: SandboxServer) -> Connection:
    return services.save_token(company=company, token=TOKEN)


@pytest.fixture
def token(company: Company) -> Connection:
    """A saved token, with nothing at LinkedIn's end."""
    return services.save_token(company=company, token=TOKEN)


@pytest.fixture
def make_rule(company: Company) -> Callable[..., ConversionRule]:
    def make(
        crm_event: str = "lead_created", linkedin_id: str = GOOD_RULE, **fields: Any
    ) -> ConversionRule:
        defaults = {
            "company": company,
            "name": crm_event.replace("_", " ").capitalize(),
        }
        return ConversionRule.objects.create(
            crm_event=crm_event, linkedin_id=linkedin_id, **{**defaults, **fields}
        )

    return make


@pytest.fixture(scope="module")
def committed(
    django_db_setup: None, django_db_blocker: Any
) -> Iterator[Callable[[], AbstractContextManager[None]]]:
    """The context in which a module's fixture commits rows. Tests only read them; they are deleted after the last."""
    yield django_db_blocker.unblock
    with django_db_blocker.unblock():
        emptying.empty(TransactionTestCase())


@pytest.fixture(scope="module")
def made_once(
    committed: Callable[[], AbstractContextManager[None]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[], AbstractContextManager[Path]]:
    """Like `committed`, in one transaction, with a folder for files. As after a test, its commit wakes no worker."""

    @contextmanager
    def making() -> Iterator[Path]:
        folder = tmp_path_factory.mktemp("files")
        with (
            committed(),
            override_settings(STORAGES=storages_with(folder)),
            transaction.atomic(),
        ):
            yield folder
            transaction.get_connection().run_on_commit.clear()

    return making
