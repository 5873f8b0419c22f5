"""How the search text gets into the database, and what is said if the database user lacks the permission."""

import pytest
from django.core.management import CommandError
from django.db import connection
from django.db.utils import ProgrammingError

from crm.models import Lead
from crm.models.tracking.snapshots import supports_returning_old
from crm.search.lead_index import _create_extensions
from tests.conftest import make_lead

pytestmark = pytest.mark.django_db


def test_someone_who_may_not_create_extensions_is_told_what_to_do():
    class Editor:
        def execute(self, statement, params):
            raise ProgrammingError("permission denied to create extension")

    with pytest.raises(
        CommandError, match="let a superuser run “CREATE EXTENSION pg_trgm"
    ):
        _create_extensions(Editor())


def test_a_save_has_no_statement_more(company, django_assert_max_num_queries):
    lead = make_lead(company)
    lead.title = "Countess"

    with django_assert_max_num_queries(1 if supports_returning_old(connection) else 3):
        lead.save()

    assert Lead.objects.search("countess").get() == lead
