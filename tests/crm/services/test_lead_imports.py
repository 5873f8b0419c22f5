"""Imports as people and keys control them: what may be started now, and who may no longer import."""

import threading
from typing import Any

import pytest
from django.db import connection, transaction

from capi.models import ConversionEvent
from crm.data_exchange.importing import storing, work
from crm.jobs import rounds, runner
from crm.models import ApiKey, Company, Lead, LeadImport, Membership, User
from crm.models.roles import Role
from crm.services import lead_imports
from tests.capi.delivery.test_result_stands import somebody_waits
from tests.conftest import join
from tests.crm.data_exchange.importing.uploading import PEOPLE, names, upload, work_on
from tests.faults.processes import wait_for

pytestmark = pytest.mark.django_db(transaction=True)


def test_an_import_that_is_started_at_this_moment_is_not_discarded(
    sales: Membership,
) -> None:
    ready, discarded = upload(sales, PEOPLE), []

    def discard() -> None:
        discarded.append(lead_imports.discard(lead_import=ready))
        connection.close()

    discarding = threading.Thread(target=discard)
    with transaction.atomic():
        lead_imports.start(
            lead_import=ready, owner=None, tells_platforms=False, actor=sales.user
        )
        discarding.start()
        wait_for(
            somebody_waits,
            seconds=30,
            told="The deletion did not come to wait for the import.",
        )
    discarding.join()

    assert discarded == [False]
    assert LeadImport.objects.get().step == "importing"


def revoke(key: ApiKey, member: Membership) -> None:
    key.revoke()


def delete_the_key(key: ApiKey, member: Membership) -> None:
    key.delete()


def lower_the_role(key: ApiKey, member: Membership) -> None:
    Membership.objects.filter(pk=member.pk).update(role=Role.OPS)


def deactivate(key: ApiKey, member: Membership) -> None:
    Membership.objects.filter(pk=member.pk).update(is_active=False)


def delete_the_account(key: ApiKey, member: Membership) -> None:
    member.user.delete()


def close_the_company(key: ApiKey, member: Membership) -> None:
    Company.objects.filter(pk=member.company_id).update(is_active=False)


@pytest.mark.parametrize(
    ("is_by_key", "happens"),
    [
        (True, revoke),
        (True, delete_the_key),
        (True, close_the_company),
        (False, lower_the_role),
        (False, deactivate),
        (False, delete_the_account),
        (False, close_the_company),
    ],
)
def test_an_import_of_someone_who_may_no_longer_import_ends_and_can_be_undone(
    sales: Membership,
    connected: Any,
    make_rule: Any,
    monkeypatch: pytest.MonkeyPatch,
    is_by_key: bool,
    happens: Any,
) -> None:
    monkeypatch.setattr(storing, "CHUNK", 1)
    make_rule(crm_event="lead_created")
    key, _ = ApiKey.objects.issue(
        company=sales.company, role=Role.SALES, name="Nightly"
    )
    admin: User = join(sales.company, Role.ADMIN, email="admin@example.com").user
    actor = key if is_by_key else sales.user
    running = upload(sales, PEOPLE)
    lead_imports.start(
        lead_import=running, owner=None, tells_platforms=True, actor=actor
    )
    work.advance(running.pk)

    happens(key, sales)
    rounds.work_through(lambda: True)

    running.refresh_from_db()
    assert running.state == "failed"
    assert running.problem in (runner.NO_LONGER_ALLOWED, runner.KEY_NO_LONGER_ALLOWED)
    assert (names(), ConversionEvent.objects.count()) == (["Ines Moreau"], 1)
    assert lead_imports.undo(lead_import=running, actor=admin)
    assert work_on(running).was_undone
    assert not Lead.objects.exists()
