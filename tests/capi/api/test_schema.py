from io import StringIO

import pytest
from django.core.management import call_command
from rest_framework.test import APIClient

from tests.crm.api.calling import caller

URL = "/api/v1/schema/"


def test_the_schema_is_valid_and_made_without_a_warning(capsys):
    out = StringIO()

    call_command("spectacular", "--validate", "--fail-on-warn", stdout=out)

    assert out.getvalue().startswith("openapi: 3.")
    assert "warning" not in capsys.readouterr().err.lower()


@pytest.mark.parametrize("role", ["admin", "sales", "ops"])
def test_every_key_reads_the_schema(company, role):
    answer = caller(company, role).get(URL, {"format": "json"})

    assert answer.status_code == 200
    assert sorted(answer.json()["paths"]) == [
        "/api/v1/bulk-changes/",
        "/api/v1/bulk-changes/preview/",
        "/api/v1/bulk-changes/{id}/",
        "/api/v1/bulk-changes/{id}/cancel/",
        "/api/v1/conversion-events/",
        "/api/v1/conversion-events/{id}/",
        "/api/v1/conversion-events/{id}/cancel/",
        "/api/v1/conversion-events/{id}/retry/",
        "/api/v1/conversion-rules/",
        "/api/v1/conversion-rules/{id}/",
        "/api/v1/custom-fields/",
        "/api/v1/custom-fields/{id}/",
        "/api/v1/deals/",
        "/api/v1/deals/{id}/",
        "/api/v1/deletions/",
        "/api/v1/duplicates/",
        "/api/v1/duplicates/{id}/",
        "/api/v1/duplicates/{id}/dismiss/",
        "/api/v1/exports/",
        "/api/v1/exports/{id}/",
        "/api/v1/exports/{id}/cancel/",
        "/api/v1/exports/{id}/content/",
        "/api/v1/files/",
        "/api/v1/files/{id}/",
        "/api/v1/files/{id}/content/",
        "/api/v1/imports/",
        "/api/v1/imports/{id}/",
        "/api/v1/imports/{id}/bad-rows/",
        "/api/v1/imports/{id}/cancel/",
        "/api/v1/imports/{id}/cells/",
        "/api/v1/imports/{id}/columns/",
        "/api/v1/imports/{id}/format/",
        "/api/v1/imports/{id}/start/",
        "/api/v1/imports/{id}/undo/",
        "/api/v1/imports/{id}/values/",
        "/api/v1/lead-sources/",
        "/api/v1/lead-sources/{id}/",
        "/api/v1/lead-statuses/",
        "/api/v1/lead-statuses/{id}/",
        "/api/v1/lead-types/",
        "/api/v1/lead-types/{id}/",
        "/api/v1/leads/",
        "/api/v1/leads/{id}/",
        "/api/v1/leads/{id}/erasure/",
        "/api/v1/leads/{id}/merge/",
        "/api/v1/lost-reasons/",
        "/api/v1/lost-reasons/{id}/",
        "/api/v1/merges/",
        "/api/v1/merges/{id}/",
        "/api/v1/merges/{id}/undo/",
        "/api/v1/notes/",
        "/api/v1/notes/{id}/",
        "/api/v1/organisations/",
        "/api/v1/organisations/{key}/",
        "/api/v1/pipelines/",
        "/api/v1/pipelines/{id}/",
        "/api/v1/saved-views/",
        "/api/v1/saved-views/{id}/",
        "/api/v1/tags/",
        "/api/v1/tags/{id}/",
        "/api/v1/tasks/",
        "/api/v1/tasks/{id}/",
    ]
    assert sorted(answer.json()["components"]["securitySchemes"]) == [
        "apiKey",
        "session",
    ]


def test_a_signed_in_member_reads_the_schema(client_as, sales):
    assert client_as(sales).get(URL).status_code == 200


@pytest.mark.parametrize("debug", [True, False])
def test_a_stranger_reads_no_schema(db, settings, debug):
    settings.DEBUG = debug

    answer = APIClient().get(URL)

    assert answer.status_code == 401
    assert b"paths" not in answer.content
