"""Migrations that write rows, on a database that has some."""

from importlib import import_module
from types import SimpleNamespace

import pytest
from django.apps import apps
from django.db import connection

from crm.models import Company, LeadSource, LeadType
from tests.conftest import make_lead

pytestmark = pytest.mark.django_db


def test_companies_get_the_types_that_there_were_and_the_sources_that_leads_share(company: Company) -> None:
    LeadType.objects.all().delete()
    for source in (*["Web"] * 3, *["Fair"] * 4, *["fair"] * 3, *["Sent by Ada"] * 2, *[""] * 3):
        make_lead(company, source=source)

    import_module("crm.migrations.0012_lists_and_tags")._fill_lists(apps, SimpleNamespace(connection=connection))

    types = LeadType.objects.for_company(company).values_list("code", flat=True)
    assert list(types) == ["inbound", "outbound", "referral", "partner"]
    assert list(LeadSource.objects.for_company(company).values_list("name", flat=True)) == ["Fair", "Web"]
