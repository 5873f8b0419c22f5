"""Mails: who gets them, what they say, and what happens to them when the server or the worker fails."""

import pytest
from django.db.models.functions import Now

from capi.alerts import notifications
from capi.alerts.mail_choices import choose
from capi.models import Connection, Mail
from crm.models.roles import Role
from crm.services.people import deactivate
from tests.capi.alerts.conftest import look, mails, make_mails_due
from tests.capi.alerts.post_office import Died, PostOffice
from tests.conftest import join

pytestmark = pytest.mark.django_db


@pytest.fixture
def paused(company, line, make_rule) -> None:
    """A paused connection, which has been evaluated."""
    make_rule(name="New lead")
    Connection.objects.update(
        is_paused=True, paused_reason="token_refused", paused_at=Now()
    )


def test_admins_get_mail_unless_they_choose_otherwise_and_ops_if_they_choose_so(
    company, other_company, admin, ops, sales, paused
) -> None:
    keen, quiet = (
        join(company, Role.OPS, email="keen@example.com"),
        join(company, Role.ADMIN, email="quiet@example.com"),
    )
    join(other_company, Role.ADMIN, email="neighbour@example.com")
    choose(company=company, user=keen.user, alerts=True, weekly=False)
    choose(company=company, user=quiet.user, alerts=False, weekly=True)
    # This role may not see alerts.
    choose(company=company, user=sales.user, alerts=True, weekly=True)

    look(company)

    assert [address for address, _ in mails()] == [
        "admin@example.com",
        "keen@example.com",
    ]


def test_a_mail_says_what_happened_to_whom_what_to_do_and_where(
    company, admin, paused
) -> None:
    look(company)
    notifications.send_due()

    (mail,) = PostOffice.taken
    assert mail.subject == "Northwind BV: sending to LinkedIn is paused"
    assert mail.body == (
        "Sending to LinkedIn is paused.\n\n"
        "LinkedIn says 401: the access token is expired, revoked or invalid.\n\n"
        "Generate a new token in Campaign Manager and save it on the LinkedIn page. Events on hold are then sent.\n\n"
        "Learn more:\nhttps://crm.example.com/help/troubleshooting/#reason-token_refused\n\n"
        "See the alert:\nhttps://crm.example.com/integrations/linkedin/alerts/\n\n"
        "You get this e-mail because you are an admin or asked for it. Change your choice here:\n"
        "https://crm.example.com/integrations/linkedin/alerts/#mail\n"
    )
    assert mail.alternatives[0].mimetype == "text/html"
    assert (mail.to, mail.cc, mail.bcc) == (["admin@example.com"], [], [])


def test_a_name_with_a_line_break_makes_no_header_of_its_own(
    company, admin, paused
) -> None:
    type(company).objects.update(name="Northwind\r\nBcc: mallory@example.com")

    look(company)
    notifications.send_due()

    (mail,) = PostOffice.taken
    assert (
        mail.subject
        == "Northwind Bcc: mallory@example.com: sending to LinkedIn is paused"
    )


def test_a_server_that_is_away_is_tried_again_and_then_gets_it_once(
    company, admin, paused, caplog
) -> None:
    look(company)
    PostOffice.trouble = "away"
    notifications.send_due()
    assert notifications.send_due() == 0  # not yet again
    PostOffice.trouble = ""
    assert mails() == []
    make_mails_due()

    assert len(mails()) == 1
    assert len(mails()) == 1
    assert "could not be sent: SMTPServerDisconnected" in caplog.text
    assert "admin@example.com" not in caplog.text


def test_a_mail_that_can_not_be_sent_for_days_is_given_up(
    company, admin, paused
) -> None:
    look(company)
    PostOffice.trouble = "away"
    for _ in range(8):
        make_mails_due()
        notifications.send_due()
    PostOffice.trouble = ""
    make_mails_due()

    assert mails() == []
    assert Mail.objects.filter(due_at=None, sent_at=None, tries=8).count() == 1


def test_a_worker_that_dies_before_the_server_took_a_mail_loses_nothing(
    company, admin, paused
) -> None:
    look(company)
    PostOffice.trouble = "dies_before"
    with pytest.raises(Died):
        notifications.send_due()
    PostOffice.trouble = ""
    assert mails() == []  # the dead worker's claim has not lapsed yet
    make_mails_due()

    assert len(mails()) == 1


def test_a_worker_that_dies_after_it_sends_the_same_mail_again_under_the_same_id(
    company, admin, paused
) -> None:
    look(company)
    PostOffice.trouble = "dies_after"
    with pytest.raises(Died):
        notifications.send_due()
    PostOffice.trouble = ""
    make_mails_due()
    notifications.send_due()

    first, second = PostOffice.taken
    assert first.extra_headers["Message-ID"] == second.extra_headers["Message-ID"]


def test_whoever_left_before_the_mail_went_out_does_not_get_it(
    company, admin, paused
) -> None:
    gone = join(company, Role.ADMIN, email="gone@example.com")
    look(company)

    deactivate(membership=gone)

    assert [address for address, _ in mails()] == ["admin@example.com"]


def test_a_mail_that_fails_does_not_keep_the_others(
    company, admin, paused, monkeypatch
) -> None:
    join(company, Role.ADMIN, email="second@example.com")
    look(company)
    Mail.objects.filter(user=admin.user).update(news="unknown", alert=None)

    assert [address for address, _ in mails()] == ["second@example.com"]
