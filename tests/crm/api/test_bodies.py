import pytest

from crm.models import Lead
from tests.crm.api.calling import caller

URL = "/api/v1/leads/"


def post(company, body, content_type="application/json"):
    return caller(company).generic("POST", URL, body, content_type=content_type)


@pytest.mark.parametrize(
    "body",
    [
        "{",
        "",
        "null",
        "[]",
        '"Ada"',
        "7",
        '{"first_name": NaN}',
        b'{"first_name": "\xff"}',
        "[" * 100_000,
        "9" * 5000,
    ],
)
def test_a_body_that_is_no_object_is_answered_with_400(company, body):
    answer = post(company, body)

    assert answer.status_code == 400
    assert not Lead.objects.exists()


def test_a_body_that_is_too_large_is_refused_unread(company, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000

    answer = post(company, '{"first_name": "Ada", "notes": "' + "x" * 1000 + '"}')

    assert answer.status_code == 400
    assert not Lead.objects.exists()


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "text/csv"]
)
def test_a_body_in_another_format_is_answered_with_415(company, content_type):
    answer = post(company, "first_name=Ada", content_type)

    assert answer.status_code == 415
    assert not Lead.objects.exists()


def test_every_answer_is_json_and_nothing_a_browser_would_run(company):
    caller(company).post(URL, {"first_name": "<script>alert(1)</script>"})

    answer = caller(company).get(URL, HTTP_ACCEPT="text/html,*/*")

    assert answer["Content-Type"] == "application/json"
    assert answer["X-Content-Type-Options"] == "nosniff"
