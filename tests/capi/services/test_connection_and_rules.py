"""What an admin does: saves and removes a token; adds, switches, resumes and deletes rules."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.core.exceptions import ValidationError
from django.db import connection

from capi import services
from capi.models import Connection, ConversionEvent, ConversionRule
from capi.models.token import fingerprint
from tests.conftest import TOKEN, make_lead

pytestmark = pytest.mark.django_db

BAD_TOKENS = {
    "empty": "",
    "blank": "   \n",
    "short": "AQV",
    "long": "A" * 2049,
    "two lines": TOKEN + "\n" + TOKEN,
    "with a NUL": TOKEN + "\0",
    "with a blank": TOKEN[:20] + " " + TOKEN[20:],
    "not ASCII": TOKEN + "é",
}


@pytest.mark.parametrize("token", BAD_TOKENS.values(), ids=BAD_TOKENS.keys())
def test_a_token_that_can_not_be_one_is_refused_without_being_repeated(
    company, token
) -> None:
    with pytest.raises(ValidationError) as raised:
        services.save_token(company=company, token=token)

    [message] = raised.value.messages
    assert "access token" in message
    assert not token.strip() or token.strip() not in message
    assert not Connection.objects.exists()


def test_a_token_is_trimmed_numbered_and_credited(company, admin) -> None:
    first = services.save_token(
        company=company, token=f"\t{TOKEN} \r\n", user=admin.user
    )
    second = services.save_token(
        company=company,
        token="AQVsecondtokenthatisjustaslong",
        ad_account_id="512345678",
    )
    third = services.save_token(company=company, token=TOKEN)

    assert (first.token_version, first.token_saved_by, first.token_fingerprint) == (
        1,
        admin.user,
        fingerprint(TOKEN),
    )
    assert (second.token_version, second.token_saved_by, second.ad_account_id) == (
        2,
        None,
        "512345678",
    )
    assert (third.token_version, third.ad_account_id) == (3, "512345678")


@pytest.mark.parametrize(
    "account", ["51 23", "abc", "-5", "0", "5" * 20, "urn:li:person:5"]
)
def test_an_account_id_that_can_not_be_one_is_refused_and_the_token_is_not_saved(
    company, account
) -> None:
    with pytest.raises(ValidationError):
        services.save_token(company=company, token=TOKEN, ad_account_id=account)

    assert not Connection.objects.exists()


def test_a_new_token_resumes_what_the_old_one_held_up(company, make_rule) -> None:
    services.save_token(company=company, token=TOKEN)
    forbidden = make_rule(
        "lead_created", is_paused=True, paused_reason="rule_forbidden"
    )
    misconfigured = make_rule(
        "deal_won", is_paused=True, paused_reason="rule_misconfigured"
    )
    Connection.objects.update(
        is_paused=True, paused_reason="token_refused", failures_in_a_row=7
    )

    connection = services.save_token(company=company, token=TOKEN)

    assert (
        connection.is_paused,
        connection.paused_reason,
        connection.failures_in_a_row,
    ) == (False, "", 0)
    forbidden.refresh_from_db()
    misconfigured.refresh_from_db()
    assert (forbidden.is_paused, misconfigured.is_paused) == (False, True)


def test_two_active_rules_with_one_event_and_id_are_refused(company, make_rule) -> None:
    make_rule("deal_won", "104012")
    twin = ConversionRule(
        company=company, crm_event="deal_won", linkedin_id="104012", name="Twin"
    )

    with pytest.raises(ValidationError, match="already"):
        services.save_rule(rule=twin)
    twin.is_active = False
    services.save_rule(rule=twin)
    with pytest.raises(ValidationError, match="already"):
        services.set_rule_active(rule=twin, active=True)

    assert ConversionRule.objects.filter(is_active=True).count() == 1


@pytest.mark.django_db(transaction=True)
def test_the_same_rule_saved_twice_at_once_is_one_rule_and_a_message(company) -> None:
    def save() -> str:
        rule = ConversionRule(
            company=company, crm_event="deal_won", linkedin_id="104012", name="Purchase"
        )
        try:
            services.save_rule(rule=rule)
        except ValidationError as refused:
            return refused.messages[0]
        finally:
            connection.close()
        return "saved"

    with ThreadPoolExecutor(4) as pool:
        answers = sorted(
            answer.result() for answer in [pool.submit(save) for _ in range(4)]
        )

    assert ConversionRule.objects.count() == 1
    assert answers[-1] == "saved"
    assert all("already" in answer for answer in answers[:-1])


def test_a_deleted_rule_leaves_its_log_and_makes_room_for_a_new_one(
    company, make_rule
) -> None:
    rule = make_rule("lead_created", "104012")
    make_lead(company)

    services.delete_rule(rule=rule)

    assert not ConversionRule.objects.exists()
    assert ConversionEvent.objects.get().rule == rule
    assert make_rule("lead_created", "104012").pk != rule.pk


def test_a_rule_that_someone_deletes_meanwhile_stays_deleted(make_rule) -> None:
    rule = make_rule("lead_created", "104012")
    services.delete_rule(rule=ConversionRule.objects.get(pk=rule.pk))

    with pytest.raises(ValidationError, match="deleted"):
        services.save_rule(rule=rule)

    assert not ConversionRule.objects.exists()


def test_only_the_fields_that_were_given_are_written(make_rule) -> None:
    rule = make_rule("lead_created", "104012", name="New lead")
    services.set_rule_active(rule=ConversionRule.objects.get(pk=rule.pk), active=False)
    rule.name = "New contact"

    services.save_rule(rule=rule, fields=["name"])

    rule.refresh_from_db()
    assert (rule.name, rule.is_active) == ("New contact", False)


def test_a_company_can_be_deleted_with_all_it_has(company, make_rule) -> None:
    services.save_token(company=company, token=TOKEN)
    make_rule("lead_created")
    make_lead(company)

    company.delete()

    assert not ConversionEvent.objects.exists()
    assert not Connection.objects.exists()
