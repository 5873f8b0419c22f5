"""The operator's admin of the LinkedIn side: everything may be read, nothing changed, and no token is there."""

import pytest
from django.urls import reverse

from capi import services
from capi.models import Attempt, Connection, ConversionEvent, ConversionRule
from tests.capi.conftest import send_all
from tests.conftest import TOKEN, make_lead, staff_client

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def web(company):
    return staff_client()


@pytest.mark.parametrize("model", [Connection, ConversionRule, ConversionEvent, Attempt])
def test_rows_are_shown_and_can_not_be_changed(web, company, connected, make_rule, model) -> None:
    make_rule()
    make_lead(company)
    send_all(company)
    name = f"admin:capi_{model._meta.model_name}"
    row = model.objects.get()

    listed = web.get(reverse(f"{name}_changelist"))
    shown = web.get(reverse(f"{name}_change", args=[row.pk]))
    changed = web.post(reverse(f"{name}_change", args=[row.pk]), {})
    added = web.get(reverse(f"{name}_add"))

    assert (listed.status_code, shown.status_code) == (200, 200)
    assert (changed.status_code, added.status_code) == (403, 403)


def test_nothing_of_the_token_is_shown(web, company) -> None:
    connection = services.save_token(company=company, token=TOKEN)

    page = web.get(reverse("admin:capi_connection_change", args=[connection.pk])).content.decode()

    assert connection.sealed_token not in page
    assert TOKEN[-4:] not in page
