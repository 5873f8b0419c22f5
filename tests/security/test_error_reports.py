"""S26, S36: a report of a server error, mailed or kept by an error tracker, has nothing in it that anyone entered."""

import logging
import sys
from typing import Any

import pytest
from django.test import RequestFactory
from django.utils.log import AdminEmailHandler
from django.views.debug import get_exception_reporter_class

from capi import services
from capi.linkedin.client import Client
from capi.tasks import deliver
from tests.conftest import TOKEN, make_lead
from tests.security.sinks import ADDRESS, NAME, dressed_up, hits, token_pieces

pytestmark = pytest.mark.django_db

PASSWORDS = ("databasepassword", "brokerpassword")


@pytest.fixture(autouse=True)
def _production(settings: Any) -> None:
    settings.DEBUG = False
    settings.DATABASE_URL = f"postgres://user:{PASSWORDS[0]}@db.example.com/x"
    settings.REDIS_URL = f"redis://:{PASSWORDS[1]}@broker.example.com/0"
    settings.CELERY_BROKER_URL = settings.REDIS_URL
    settings.ADMINS = [("Operator", "operator@example.com")]


def reports(request: Any = None) -> list[str]:
    """Both forms of the report of the exception that is being handled."""
    reporter = get_exception_reporter_class(request)(request, *sys.exc_info())
    return [reporter.get_traceback_html(), reporter.get_traceback_text()]


def break_down(*args: Any, **kwargs: Any) -> Any:
    secret = TOKEN  # a variable of a frame, as a library could have one
    raise RuntimeError(f"broken by {secret} of {ADDRESS}")


def test_an_error_while_a_token_is_saved_tells_no_token(
    company: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("capi.services.connection.seal", break_down)
    address = f"/integrations/linkedin/token/?email={ADDRESS}"
    request = RequestFactory().post(
        address, {"token": TOKEN}, HTTP_REFERER=f"https://crm.example.com{address}"
    )

    with pytest.raises(RuntimeError) as raised:
        services.save_token(company=company, token=TOKEN)
    try:
        raise raised.value
    except RuntimeError:
        found = reports(request)

    for report in found:
        assert "RuntimeError" in report
        assert (
            hits(report, [*token_pieces(TOKEN), *dressed_up(ADDRESS), *PASSWORDS]) == []
        )


def test_an_error_during_a_delivery_tells_neither_token_nor_address(
    company: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    services.save_token(company=company, token=TOKEN)
    company.conversion_rules.create(
        crm_event="lead_created", linkedin_id="1", name="New"
    )
    make_lead(company, first_name=NAME, email=ADDRESS)
    monkeypatch.setattr(Client, "send", break_down)

    found = []
    try:
        deliver(company.pk)
    except RuntimeError:
        found = reports()

    assert found, "the delivery did not break"
    for report in found:
        assert (
            hits(report, [*token_pieces(TOKEN), *dressed_up(ADDRESS), NAME, *PASSWORDS])
            == []
        )


def test_the_mail_to_the_operator_tells_none_of_it(
    mailoutbox: Any, company: Any
) -> None:
    request = RequestFactory().get(
        f"/leads/?search={ADDRESS}", headers={"Authorization": f"Bearer {TOKEN}"}
    )
    record = logging.LogRecord(
        "django.request",
        logging.ERROR,
        "x.py",
        1,
        "Internal Server Error: /leads/",
        (),
        None,
    )
    try:
        break_down()
    except RuntimeError:
        record.exc_info, record.request = sys.exc_info(), request

        AdminEmailHandler(include_html=True).emit(record)

    (mail,) = mailoutbox
    whole = (
        mail.subject + mail.body + "".join(content for content, _ in mail.alternatives)
    )
    assert "RuntimeError" in whole
    assert hits(whole, [*token_pieces(TOKEN), *dressed_up(ADDRESS), *PASSWORDS]) == []


def test_chained_errors_are_told_without_their_values_too() -> None:
    try:
        try:
            break_down()
        except RuntimeError as error:
            raise ValueError(
                f"no row for {TOKEN}\nDETAIL:  Failing row contains ({NAME})."
            ) from error
    except ValueError:
        found = reports()

    for report in found:
        assert "direct cause" in report
        assert hits(report, [*token_pieces(TOKEN), *dressed_up(ADDRESS), NAME]) == []
