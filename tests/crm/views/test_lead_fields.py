"""Details of a lead, each edited in its row."""

import re

import pytest
from django.utils import timezone

from crm.forms.row_forms import EDITED_IN_PLACE
from crm.models import Lead
from tests.conftest import make_lead

pytestmark = pytest.mark.django_db

HTMX = {"HX-Request": "true"}


@pytest.fixture
def lead(company, sales):
    return make_lead(
        company,
        phone="+31 20 555 0142",
        source="Trade fair",
        notes="Likes sailing",
        owner=sales.user,
    )


@pytest.mark.parametrize(
    ("field", "entered", "saved"),
    [
        ("email", "ada@example.org", "ada@example.org"), ("phone", "", ""), ("organisation", "Acme", "Acme"),
        ("source", "Webinar", "Webinar"),
        ("type", "outbound", "outbound"), ("owner", "", None), ("share_with_ad_platforms", "", False),
    ],
)  # fmt: skip
def test_a_detail_is_saved_alone(client_as, sales, lead, field, entered, saved):
    others = [
        name
        for name in (*EDITED_IN_PLACE, "first_name", "notes", "status_id")
        if name != field
    ]
    before, client = Lead.objects.values(*others).get(), client_as(sales)

    row = client.get(f"/leads/{lead.pk}/fields/{field}/", headers=HTMX)
    answer = client.post(
        f"/leads/{lead.pk}/fields/{field}/",
        {field: entered} if entered else {},
        headers=HTMX,
    )

    assert f'id="edit_{field}"' in row.content.decode()
    assert answer.url == f"/leads/{lead.pk}/"
    assert getattr(Lead.objects.get(), field) == saved
    assert Lead.objects.values(*others).get() == before


@pytest.mark.parametrize("field", EDITED_IN_PLACE)
def test_a_detail_that_is_saved_as_it_was_stays_so(client_as, sales, lead, field):
    before, client = Lead.objects.values().get(), client_as(sales)
    row = client.get(f"/leads/{lead.pk}/fields/{field}/", headers=HTMX)
    shown = row.context["form"][field].value()

    answer = client.post(
        f"/leads/{lead.pk}/fields/{field}/",
        {field: shown, f"initial-{field}": str(shown)},
        headers=HTMX,
    )

    assert answer.url == f"/leads/{lead.pk}/"
    assert Lead.objects.values().get() == before


def test_without_htmx_the_pencil_leads_to_the_form_of_the_whole_lead(
    client_as, sales, lead
):
    answer = client_as(sales).get(f"/leads/{lead.pk}/fields/phone/")

    assert answer.url == f"/leads/{lead.pk}/edit/#id_phone"


def test_bad_input_is_named_in_the_row_and_nothing_is_saved(client_as, sales, lead):
    answer = client_as(sales).post(
        f"/leads/{lead.pk}/fields/email/", {"email": "ada"}, headers=HTMX
    )

    assert "Enter an e-mail address such as" in answer.content.decode()
    assert 'value="ada"' in answer.content.decode()
    assert answer["HX-Retarget"] == "#row-email"
    assert Lead.objects.get().email == "ada@example.com"


def test_the_second_of_two_who_change_the_same_detail_is_told(
    client_as, sales, admin, lead
):
    url, opened = (
        f"/leads/{lead.pk}/fields/phone/",
        {"initial-phone": "+31 20 555 0142"},
    )
    client_as(admin).post(url, {"phone": "+31 20 555 0100", **opened}, headers=HTMX)
    client = client_as(sales)

    refused = client.post(
        url, {"phone": "+31 20 555 0999", **opened}, headers=HTMX
    ).content.decode()
    left = Lead.objects.get().phone
    client.post(
        url,
        {"phone": "+31 20 555 0999", "initial-phone": "+31 20 555 0100"},
        headers=HTMX,
    )

    assert "Nothing was saved: this was changed after you opened it." in refused
    assert 'value="+31 20 555 0999"' in refused
    assert 'value="+31 20 555 0100"' in refused  # saved again, it overwrites this
    assert left == "+31 20 555 0100"
    assert Lead.objects.get().phone == "+31 20 555 0999"


def test_who_is_told_that_the_owner_was_taken_off_meanwhile_can_save_again(
    client_as, sales, admin, lead
):
    Lead.objects.update(owner=admin.user)
    url, opened = (
        f"/leads/{lead.pk}/fields/owner/",
        {"initial-owner": str(admin.user_id)},
    )
    Lead.objects.update(owner=None)
    client = client_as(sales)

    refused = client.post(
        url, {"owner": sales.user_id, **opened}, headers=HTMX
    ).content.decode()
    now_opened = re.search(
        r'name="initial-owner"[^>]*value="([^"]*)"|name="initial-owner"', refused
    )
    assert now_opened
    client.post(
        url,
        {"owner": sales.user_id, "initial-owner": now_opened[1] or ""},
        headers=HTMX,
    )

    assert Lead.objects.get().owner == sales.user


def test_another_detail_that_has_changed_meanwhile_is_no_conflict_and_stays(
    client_as, sales, lead
):
    Lead.objects.update(source="Webinar")

    client_as(sales).post(
        f"/leads/{lead.pk}/fields/phone/",
        {"phone": "1", "initial-phone": lead.phone},
        headers=HTMX,
    )

    assert Lead.objects.values_list("phone", "source").get() == ("1", "Webinar")


def test_a_lead_without_a_name_has_details_too(client_as, sales, lead):
    Lead.objects.update(first_name="")

    client_as(sales).post(
        f"/leads/{lead.pk}/fields/phone/", {"phone": "1"}, headers=HTMX
    )

    assert Lead.objects.get().phone == "1"


@pytest.mark.parametrize(
    "field", ["status", "first_name", "company", "custom", "erased_at"]
)
def test_no_other_field_is_edited_here(client_as, sales, lead, field):
    assert (
        client_as(sales)
        .post(f"/leads/{lead.pk}/fields/{field}/", {field: "1"}, headers=HTMX)
        .status_code
        == 404
    )


def test_nothing_of_an_erased_lead_is_edited(client_as, sales, lead):
    Lead.objects.update(
        erased_at=timezone.now(),
        share_with_ad_platforms=False,
        first_name="",
        email="",
        phone="",
        source="",
        notes="",
    )

    answer = client_as(sales).post(
        f"/leads/{lead.pk}/fields/phone/", {"phone": "1"}, headers=HTMX
    )

    assert (answer.status_code, Lead.objects.get().phone) == (404, "")
