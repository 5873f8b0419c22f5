"""A refused request is one line in the log. An error of ours keeps its traceback."""

import logging

import pytest
from django.test import Client

pytestmark = pytest.mark.django_db


def told_by_django(caplog):
    return [
        (record.levelname, record.getMessage(), record.exc_info is not None)
        for record in caplog.records
        if record.name.startswith("django")
    ]


def handlers_of(name):
    """The types of the handlers that a line of this logger goes to, except those of the tests."""
    logger, found = logging.getLogger(name), []
    while logger:
        found += [
            type(handler)
            for handler in logger.handlers
            if type(handler) is logging.StreamHandler
        ]
        logger = logger.parent if logger.propagate else None
    return found


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("/company/", "Forbidden (Permission denied): /company/"),
        ("/leads/0/", "Not Found: /leads/0/"),
        ("/leads/tags/", "Method Not Allowed (GET): /leads/tags/"),
    ],
)
def test_a_refused_request_is_one_line_without_a_traceback(
    client_as, sales, caplog, path, line
):
    client = client_as(sales)
    caplog.clear()

    client.get(path)

    assert told_by_django(caplog) == [("WARNING", line, False)]


def test_a_fault_of_ours_keeps_its_traceback(caplog, monkeypatch):
    monkeypatch.setattr(
        "django.contrib.auth.views.LogoutView.post", lambda *args, **kwargs: 1 / 0
    )

    Client(raise_request_exception=False).post("/logout/")

    assert told_by_django(caplog) == [
        ("ERROR", "Internal Server Error: /logout/", True)
    ]


def test_a_line_is_written_once():
    assert handlers_of("django.request") == [logging.StreamHandler]
