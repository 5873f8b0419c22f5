"""`manage.py make_crm` makes data to measure with, and nothing that could be sent."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from capi.models import ConversionEvent
from crm.models import (
    Attachment,
    Change,
    Company,
    CrmEvent,
    Deal,
    Lead,
    LeadDuplicate,
    Note,
    OrganisationDetails,
    Task,
)
from crm.models.organisation_figures import next_keys
from tests.crm.files import content_of

pytestmark = pytest.mark.django_db


def make(**options):
    sizes = {
        "leads": 300,
        "deals": 30,
        "tasks": 400,
        "notes": 500,
        "duplicates": 20,
        "files": 9,
        "companies": 2,
    }
    call_command(
        "make_crm", stdout=StringIO(), **{**sizes, "analyze": False, **options}
    )


def test_it_fills_companies_without_an_event(settings):
    settings.LINKEDIN_SANDBOX = True

    make()

    large = Company.objects.get(name="Measured 1")
    counts = [
        model.objects.for_company(large).count()
        for model in (Lead, Deal, Task, Note, LeadDuplicate)
    ]
    assert counts == [300, 30, 400, 500, 20]
    assert Task.objects.for_company(large).exclude(deal=None).count() == 15
    assert (
        Lead.objects.for_company(Company.objects.get(name="Measured 2")).count()
        == 1_000
    )
    files = list(Attachment.objects.for_company(large))
    assert [(file.deal is None, file.note is None) for file in files] == 3 * [
        (True, False)
    ] + 3 * [(False, True)] + 3 * [(True, True)]
    assert {content_of(file) for file in files} == {b"Forty licences for a year.\n"}
    details = OrganisationDetails.objects.for_company(large)
    assert details.count() == len(next_keys(large, 300))
    assert not details.without_leads().exists()
    assert not CrmEvent.objects.exists()
    assert not Change.objects.exists()
    assert Lead.objects.for_company(large).search("carlos example").exists()


def test_what_has_happened_is_for_the_history_alone(settings):
    settings.LINKEDIN_SANDBOX = True

    make(history=True)

    large = Company.objects.get(name="Measured 1")
    events, deals = CrmEvent.objects.for_company(large), Deal.objects.for_company(large)
    kinds = ("lead_created", "lead_qualified", "deal_created", "deal_won", "deal_lost")
    counts = [events.filter(kind=kind).count() for kind in kinds]
    qualified = (
        Lead.objects.for_company(large).filter(status__meaning="qualified").count()
    )
    assert counts == [
        300,
        qualified,
        30,
        *(deals.filter(stage__meaning=meaning).count() for meaning in ("won", "lost")),
    ]
    assert all(counts)
    moved_on = Lead.objects.for_company(large).exclude(status__name="New")
    assert Change.objects.for_company(large).count() == moved_on.count()
    assert not events.filter(history_only=False).exists()
    assert not ConversionEvent.objects.exists()


def test_it_asks_before_it_fills_an_installation_that_is_no_development_one(settings):
    settings.DEBUG = settings.LINKEDIN_SANDBOX = False

    with pytest.raises(CommandError, match="Add --anyway"):
        make()

    assert not Company.objects.exists()


def test_it_does_not_add_to_what_is_there(settings):
    settings.LINKEDIN_SANDBOX = True
    Company.objects.create(name="Measured 1", slug="measured-1")

    with pytest.raises(CommandError, match="Choose another --name"):
        make()
