"""S37: a form that outlived its session is not kept if someone in the company was erased since it could be opened."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.test import Client

from crm.accounts.middleware import SEEN, STARTED
from crm.models import Lead, Membership, TypedForm
from crm.models.roles import Role
from crm.services.erasure import erase_lead
from tests.conftest import join, make_lead

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.covers("S37")]

FORM = {"first_name": "Ada", "last_name": "Lovelace"}
MINUTE = 60


@pytest.fixture
def lead(company: Any) -> Lead:
    return make_lead(company, last_name="Lovelace")


def submit_late(client: Client) -> Client:
    """Submit a form after nine hours without a request, in a session that began half an hour earlier."""
    session, now = client.session, int(time.time())
    session[SEEN] = now - 9 * 60 * MINUTE
    session[STARTED] = session[SEEN] - 30 * MINUTE
    session.save()
    client.post("/leads/new/", FORM)
    return client


def test_what_was_typed_in_the_company_is_forgotten(
    client_as: Callable[[Membership], Client],
    admin: Membership,
    sales: Membership,
    lead: Lead,
) -> None:
    submit_late(client_as(admin))
    late = submit_late(client_as(sales))
    assert TypedForm.objects.count() == 2

    erase_lead(lead=lead)
    late.force_login(sales.user, backend="crm.accounts.adapter.EmailBackend")

    assert not TypedForm.objects.exists()
    assert late.get("/leads/new/").context["typed"] is None
    assert "Lovelace" not in str(
        [session.get_decoded() for session in Session.objects.all()]
    )


def test_a_form_that_was_open_during_the_erasure_is_not_kept(
    client_as: Callable[[Membership], Client], admin: Membership, lead: Lead
) -> None:
    erase_lead(lead=lead)

    submit_late(client_as(admin))

    assert not TypedForm.objects.exists()


def test_other_companies_keep_theirs(
    client_as: Callable[[Membership], Client], other_company: Any, lead: Lead
) -> None:
    theirs = join(other_company, Role.ADMIN, email="theirs@example.com")
    submit_late(client_as(theirs))

    erase_lead(lead=lead)
    submit_late(client_as(theirs))

    assert TypedForm.objects.count() == 2
