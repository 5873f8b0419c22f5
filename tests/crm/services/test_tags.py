"""Tags on leads and deals."""

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.test.utils import CaptureQueriesContext

from crm.models import Company, Deal, Lead, LeadTag, Membership, Tag
from crm.models.tag import add_links
from crm.services.erasure import erase_lead
from crm.services.tags import put_tag, take_tag
from tests.conftest import make_deal, make_lead

pytestmark = pytest.mark.django_db


@pytest.fixture
def vip(company: Company) -> Tag:
    return Tag.objects.create(company=company, name="VIP")


def test_a_tag_is_put_on_those_without_it_and_taken_off_again(
    company: Company, vip: Tag
) -> None:
    ada, grace = make_lead(company), make_lead(company)
    add_links(Lead, company.pk, [(ada.pk, vip)])
    leads = Lead.objects.for_company(company)

    assert put_tag(rows=leads, tag=vip) == 1
    assert (list(ada.tags.all()), list(grace.tags.all())) == ([vip], [vip])
    assert take_tag(rows=leads, tag=vip) == 2
    assert not LeadTag.objects.exists()


def test_many_are_tagged_with_as_many_queries_as_one(
    company: Company, vip: Tag
) -> None:
    def queries(count: int) -> int:
        made = [make_lead(company).pk for _ in range(count)]
        with CaptureQueriesContext(connection) as captured:
            assert put_tag(rows=Lead.objects.filter(pk__in=made), tag=vip) == count
        return len(captured)

    assert queries(1) == queries(5)


def test_an_archived_tag_is_put_on_nothing_and_stays_where_it_is(
    company: Company, vip: Tag
) -> None:
    ada, grace = make_lead(company), make_lead(company)
    put_tag(rows=Lead.objects.filter(pk=ada.pk), tag=vip)
    Tag.objects.update(archived_at="2026-03-01T00:00Z")
    vip.refresh_from_db()

    with pytest.raises(ValidationError, match="“VIP” was archived"):
        put_tag(rows=Lead.objects.filter(pk=grace.pk), tag=vip)

    assert list(ada.tags.all()) == [vip]


def test_nothing_about_an_erased_person_can_be_tagged(
    company: Company, vip: Tag
) -> None:
    lead = make_lead(company)
    deal = make_deal(lead)
    Lead.objects.filter(pk=lead.pk).update(
        erased_at="2026-03-01T00:00Z",
        share_with_ad_platforms=False,
        first_name="",
        last_name="",
        email="",
    )

    assert put_tag(rows=Lead.objects.filter(pk=lead.pk), tag=vip) == 0
    assert put_tag(rows=Deal.objects.filter(pk=deal.pk), tag=vip) == 0


@pytest.mark.django_db(transaction=True)
def test_an_erasure_takes_the_tags_off(sales: Membership) -> None:
    tag = Tag.objects.create(company=sales.company, name="VIP")
    lead, other = make_lead(sales.company), make_lead(sales.company)
    put_tag(rows=Lead.objects.all(), tag=tag)

    erase_lead(lead=lead, user=sales.user)

    assert list(LeadTag.objects.values_list("lead", flat=True)) == [other.pk]
