"""A form that may not be submitted: nothing is saved, and the page says why."""

import pytest
from django.test import Client

pytestmark = pytest.mark.django_db


def post(origin: str, *, host: str = "crm.example.com") -> tuple[int, str]:
    client = Client(enforce_csrf_checks=True, HTTP_HOST=host)
    page = client.get("/login/", secure=True)
    token = page.context["csrf_token"]
    fields = {
        "csrfmiddlewaretoken": token,
        "username": "ada@example.com",
        "password": "wrong",
    }
    headers = {"Origin": origin, "Referer": f"{origin}/login/"}
    response = client.post("/login/", fields, headers=headers, secure=True)
    return response.status_code, " ".join(response.content.decode().split())


@pytest.fixture(autouse=True)
def site(settings):
    settings.ALLOWED_HOSTS = ["*"]
    settings.SITE_URL = "https://crm.example.com:8443"
    settings.CSRF_TRUSTED_ORIGINS = ["https://crm.example.com:8443"]


def test_a_form_from_another_address_names_both_and_the_settings():
    status, page = post("https://www.example.com")

    assert status == 403
    assert "this form was sent from <code>https://www.example.com</code>" in page
    assert ">https://crm.example.com:8443</a>" in page
    assert "<code>LEADMACHINE_URL</code>" in page
    assert "<code>CSRF_TRUSTED_ORIGINS</code>" in page


def test_a_form_without_a_token_is_out_of_date():
    client = Client(enforce_csrf_checks=True)

    response = client.post("/login/", {"username": "ada@example.com"})

    assert response.status_code == 403
    assert "the page was out of date" in response.content.decode()


@pytest.mark.parametrize(
    "host", ["crm.example.com:8443", "crm.example.com", "127.0.0.1:8000"]
)
def test_a_form_from_the_public_url_is_accepted_whatever_host_a_proxy_passes_on(host):
    status, _ = post("https://crm.example.com:8443", host=host)

    assert status == 200  # the sign-in form again: the password is wrong
