import pytest
from django.conf import settings
from rest_framework.test import APIClient

from tests.crm.api.calling import caller

URL = "/api/v1/"


@pytest.mark.parametrize("role", ["admin", "sales", "ops"])
def test_the_index_names_what_there_is(company, role):
    answer = caller(company, role).get(URL)

    base = "http://testserver/api/v1"
    assert answer.json() == {
        "version": settings.VERSION,
        "leads": f"{base}/leads/",
        "deals": f"{base}/deals/",
        "tasks": f"{base}/tasks/",
        "notes": f"{base}/notes/",
        "files": f"{base}/files/",
        "saved-views": f"{base}/saved-views/",
        "bulk-changes": f"{base}/bulk-changes/",
        "imports": f"{base}/imports/",
        "exports": f"{base}/exports/",
        "merges": f"{base}/merges/",
        "deletions": f"{base}/deletions/",
        "duplicates": f"{base}/duplicates/",
        "custom-fields": f"{base}/custom-fields/",
        "organisations": f"{base}/organisations/",
        "pipelines": f"{base}/pipelines/",
        "lost-reasons": f"{base}/lost-reasons/",
        "lead-statuses": f"{base}/lead-statuses/",
        "lead-types": f"{base}/lead-types/",
        "lead-sources": f"{base}/lead-sources/",
        "tags": f"{base}/tags/",
        "conversion-rules": f"{base}/conversion-rules/",
        "conversion-events": f"{base}/conversion-events/",
        "schema": f"{base}/schema/",
        "docs": f"{base}/docs/",
    }


@pytest.mark.parametrize("version", ["1", "\x00", "\r\nX: y", "é"])
def test_the_schema_repeats_no_version_that_was_asked_for(company, version):
    client = caller(company)

    plain, asked = (
        client.get(f"{URL}schema/", query) for query in ({}, {"version": version})
    )

    for response in (plain, asked):
        del response.headers["X-Request-ID"]  # each has its own
    assert (asked.status_code, asked.headers, asked.content) == (
        200,
        plain.headers,
        plain.content,
    )


def test_a_stranger_is_told_nothing(db):
    answer = APIClient().get(URL)

    assert answer.status_code == 401
    assert "leads" not in answer.content.decode()
