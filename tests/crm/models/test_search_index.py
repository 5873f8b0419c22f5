"""How the search text gets into the database, and what is said if the database user lacks the permission."""

import pytest
from django.core.management import CommandError
from django.db import connection
from django.db.utils import ProgrammingError

from crm.models import Lead
from crm.models.search_index import _create_extensions, keep_up_to_date
from tests.conftest import make_lead

pytestmark = [pytest.mark.django_db, pytest.mark.sqlite]


def test_someone_who_may_not_create_extensions_is_told_what_to_do():
    class Editor:
        def execute(self, statement, params):
            raise ProgrammingError("permission denied to create extension")

    with pytest.raises(CommandError, match="let a superuser run “CREATE EXTENSION pg_trgm"):
        _create_extensions(Editor())


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL has no triggers for it")
def test_triggers_that_a_migration_has_dropped_are_created_again_with_the_text_of_every_lead(company):
    make_lead(company, first_name="Zoë", email="")
    with connection.cursor() as cursor:
        cursor.execute("DROP TRIGGER lead_search_insert")
    make_lead(company, first_name="Zoltan", email="")

    keep_up_to_date(sender=None, using="default")

    assert sorted(lead.name for lead in Lead.objects.search("zo")) == ["Zoltan", "Zoë"]
    make_lead(company, first_name="Zora", email="")
    assert Lead.objects.search("zora").exists()


def test_a_save_has_no_statement_more(company, django_assert_max_num_queries):
    lead = make_lead(company)
    lead.title = "Countess"

    # PostgreSQL writes and returns the row in one statement; SQLite also reads it before and after.
    with django_assert_max_num_queries(1 if connection.vendor == "postgresql" else 5):
        lead.save()

    assert Lead.objects.search("countess").get() == lead
