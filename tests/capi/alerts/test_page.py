"""The page of the alerts: what is wrong, what was, and who gets mail."""

import re

import pytest
from django.db.models.functions import Now
from django.urls import reverse

from capi.alerts.mail_choices import choices_of
from capi.models import Alert, MailChoice
from tests.capi.alerts.conftest import look
from tests.conftest import make_lead

pytestmark = pytest.mark.django_db

PAGE = reverse("alerts")


@pytest.fixture
def web(client_as, ops):
    return client_as(ops)


def test_an_open_alert_says_what_is_so_and_what_to_do(
    web, company, line, make_rule
) -> None:
    make_rule(
        name="New <lead>",
        is_paused=True,
        paused_reason="rule_not_found",
        paused_at=Now(),
    )
    look(company)

    html = web.get(PAGE).content.decode()

    assert "<strong>The rule “New &lt;lead&gt;” is paused</strong>" in html
    assert "LinkedIn says 404: there is no conversion rule with this id." in html
    assert "Copy the rule id from Campaign Manager again and save the rule." in html
    assert '<span class="badge bad">1 open</span>' in html
    assert re.search(
        r">Alerts ?<span class=\"badge wait number\">1<span class=\"visually-hidden\"> open</span>",
        html,
    )
    assert f'href="{reverse("linkedin")}"' in html


def test_what_is_over_stays_on_the_page_in_pages_of_50(
    web, company, line, make_rule
) -> None:
    rule = make_rule()
    for number in range(60):
        Alert.objects.create(
            company=company, kind="silent", rule=rule, closed_at=Now(), ending="fixed",
            facts={"days": number, "per_week": 12},
        )  # fmt: skip

    first = web.get(PAGE)
    second = web.get(PAGE, {"before": first.context["past"].older})

    assert [row.alert.facts["days"] for row in first.context["past"].rows] == list(
        range(59, 9, -1)
    )
    assert [row.alert.facts["days"] for row in second.context["past"].rows] == list(
        range(9, -1, -1)
    )
    assert (
        "It usually has 12 events a week, but has had none for 59 days."
        in first.content.decode()
    )
    assert second.context["past"].older is None


def test_anybody_who_sees_it_chooses_for_themselves(web, company, admin, ops) -> None:
    before = {
        choice.membership.role: (choice.alerts, choice.weekly)
        for choice in choices_of(company)
    }
    answer = web.post(reverse("mail_choice"), {"alerts": "on"})

    assert before == {"admin": (True, True), "ops": (False, False)}
    assert answer["Location"] == f"{PAGE}#mail"
    assert list(MailChoice.objects.values_list("user", "alerts", "weekly")) == [
        (ops.user_id, True, False)
    ]
    assert all(choice.alerts for choice in choices_of(company))


def test_an_empty_page_says_that_all_is_well(web) -> None:
    html = web.get(PAGE, {"before": "nonsense"}).content.decode()

    assert "All OK" in html
    assert "None yet." in html


def test_the_page_takes_as_many_queries_for_many_alerts_as_for_one(
    web, company, make_rule, django_assert_num_queries
) -> None:
    rule = make_rule()
    make_lead(company)
    for kind in ("silent", "failing", "rule_paused"):
        Alert.objects.create(
            company=company,
            kind=kind,
            rule=rule,
            facts={"days": 1, "per_week": 2, "failed": 3, "ended": 4},
        )
    web.get(PAGE)

    with django_assert_num_queries(9):
        web.get(PAGE)
