"""Times of day are in the company's time zone, and the API stays in UTC."""

from datetime import UTC, datetime

import pytest

from crm.models import Lead
from tests.conftest import make_lead

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("zone", "shown"),
    [
        ("UTC", "23:30"),
        ("Europe/Amsterdam", "00:30"),
        ("Asia/Kolkata", "05:00"),
        ("Pacific/Apia", "12:30"),
    ],
)
def test_a_page_shows_the_companys_time(client_as, sales, company, zone, shown):
    lead = make_lead(company)
    Lead.objects.filter(pk=lead.pk).update(
        created_at=datetime(2026, 1, 15, 23, 30, tzinfo=UTC)
    )
    company.time_zone = zone
    company.save()

    page = client_as(sales).get(lead.get_absolute_url()).content.decode()

    assert f", {shown}</time>" in page


def test_the_api_answers_in_utc(client_as, sales, company):
    lead = make_lead(company)
    Lead.objects.filter(pk=lead.pk).update(
        created_at=datetime(2026, 1, 15, 23, 30, tzinfo=UTC)
    )
    company.time_zone = "Asia/Kolkata"
    company.save()

    answer = client_as(sales).get(f"/api/v1/leads/{lead.pk}/").json()

    assert answer["created_at"] == "2026-01-15T23:30:00Z"
