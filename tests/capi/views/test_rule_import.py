"""Importing rules: LinkedIn's list is offered, mapped and saved at once; if it is refused, people paste instead."""

import json
import re
import threading

import pytest
from django.db import connections
from django.urls import reverse

from capi import services
from capi.linkedin.rules import LinkedInRule
from capi.linkedin.sandbox.faults import Fault
from capi.models import Connection, ConversionRule
from capi.services.rule_import import ChosenRule, Imported, import_rules
from crm.models import AuditEntry
from crm.models.roles import Role
from tests.conftest import join, make_deal, make_lead
from tests.security.rows import checksum_of_everything
from tests.security.test_cross_site import WRITTEN_BY_READING

pytestmark = pytest.mark.django_db

PAGE, ACCOUNT = reverse("rule_import"), reverse("ad_account_save")
TOKEN = "AQX-good-token-0123456789"


@pytest.fixture
def web(client_as, admin):
    return client_as(admin)


@pytest.fixture
def connect(company, sandbox):
    def connect(token=TOKEN, account="512345678") -> Connection:
        return services.save_token(company=company, token=token, ad_account_id=account)

    return connect


def rules() -> list[tuple[str, str, str]]:
    return list(
        ConversionRule.objects.order_by("pk").values_list(
            "crm_event", "linkedin_id", "name"
        )
    )


def read(web):
    """Press the button that reads the rules from LinkedIn. Returns the page."""
    return web.post(PAGE, {"read": "1"})


def offered(page) -> list[str]:
    return [offer.rule.id for offer, _ in page.context["form"].rows()]


def listing(*names: str) -> Fault:
    """LinkedIn listing rules with these names, numbered from 1."""
    elements = [
        {
            "id": number,
            "name": name,
            "type": "LEAD",
            "conversionMethod": "CONVERSIONS_API",
            "enabled": True,
        }
        for number, name in enumerate(names, 1)
    ]
    return Fault(status=200, body=json.dumps({"elements": elements}))


def test_only_enabled_rules_of_the_conversions_api_are_offered_and_the_others_are_said(
    web, connect
) -> None:
    connect()

    page = read(web)

    assert offered(page) == [
        "104011",
        "104012",
        "104013",
        "104014",
        "104015",
        "104016",
        "104017",
        "104018",
    ]
    assert [(one.rule.id, one.why.what) for one in page.context["left_out"]] == [
        ("400400", "Its source is not the Conversions API."),
        ("400401", "It is switched off in Campaign Manager."),
        ("104021", "Its source is not the Conversions API."),
        ("104022", "Its source is not the Conversions API."),
    ]
    assert "4 rules left out" in page.content.decode()


def test_the_usual_event_of_a_type_is_preset_once_and_never_where_it_has_a_rule(
    web, connect, make_rule
) -> None:
    connect()
    make_rule("lead_qualified", "99")

    page = read(web)

    preset = {
        offer.rule.id: offer.preset
        for offer, _ in page.context["form"].rows()
        if offer.preset
    }
    # 104016, Sign Up, would be a second one.
    assert preset == {"104011": "lead_created", "104014": "deal_won"}


def test_several_rules_are_saved_at_once_with_what_linkedin_says_of_them(
    web, company, connect
) -> None:
    connect()
    chosen = {
        "event_104012": "lead_qualified",
        "event_104014": "deal_won",
        "event_104016": "",
    }

    answer = web.post(PAGE, chosen, follow=True)

    assert answer.redirect_chain == [("/integrations/linkedin/#map", 302)]
    assert "2 rules imported." in answer.content.decode()
    assert rules() == [
        ("lead_qualified", "104012", "Qualified lead"),
        ("deal_won", "104014", "Purchase"),
    ]
    purchase = ConversionRule.objects.for_company(company).get(linkedin_id="104014")
    assert (
        purchase.linkedin_type,
        purchase.linkedin_method,
        purchase.linkedin_enabled,
    ) == (
        "PURCHASE",
        "CONVERSIONS_API",
        True,
    )
    assert purchase.linkedin_read_at is not None
    assert (purchase.frequency, purchase.send_value, purchase.is_active) == (
        "once",
        True,
        True,
    )
    assert (
        AuditEntry.objects.filter(company=company, action="rule_created").count() == 2
    )


def test_it_says_how_often_each_event_would_have_fired_lately(
    web, company, other_company, connect
) -> None:
    connect()
    make_deal(make_lead(company))
    make_lead(company)
    make_lead(other_company)

    page = read(web).content.decode()

    told = re.findall(
        r"<dt>([^<]+)</dt><dd>([^<]+)</dd>",
        page.split('id="firings"')[1].split("</dl>")[0],
    )
    assert told == [
        ("Lead created", "2 times"), ("Lead qualified", "0 times"), ("Deal created", "1 time"), ("Deal won", "0 times"),
        ("Deal lost", "0 times"),
    ]  # fmt: skip


def test_a_rule_for_lost_deals_starts_switched_off_and_without_a_value(
    web, company, connect
) -> None:
    connect()

    answer = web.post(
        PAGE, {"event_104015": "deal_lost", "event_104014": "deal_won"}, follow=True
    )

    lost = ConversionRule.objects.for_company(company).get(crm_event="deal_lost")
    won = ConversionRule.objects.for_company(company).get(crm_event="deal_won")
    assert (lost.is_active, lost.send_value) == (False, False)
    assert (won.is_active, won.send_value) == (True, True)
    assert (
        "Rules for “Deal lost” start switched off and without a value."
        in answer.content.decode()
    )


def test_no_event_is_guessed_from_the_type_other(web, connect) -> None:
    connect()

    page = read(web)

    assert {
        offer.suggested
        for offer, _ in page.context["form"].rows()
        if offer.rule.type == "OTHER"
    } == {""}


def test_importing_twice_makes_nothing_the_second_time(web, connect) -> None:
    connect()
    chosen = {"event_104012": "lead_qualified", "event_104014": "deal_won"}

    web.post(PAGE, chosen)
    answer = web.post(PAGE, {**chosen, "event_104011": "lead_created"}, follow=True)

    assert (
        "1 rule imported. Press play to test it. 2 of the chosen rules already existed."
        in (answer.content.decode())
    )
    assert [linkedin_id for _, linkedin_id, _ in rules()] == [
        "104012",
        "104014",
        "104011",
    ]


def test_what_is_mapped_already_is_shown_as_such_and_comes_last(
    web, connect, make_rule
) -> None:
    connect()
    make_rule("deal_won", "104011", name="Ours")

    page = read(web)

    assert offered(page)[-1] == "104011"
    assert "Mapped: Deal won" in page.content.decode()
    assert 'name="event_104011"' not in page.content.decode()


def test_reading_keeps_what_linkedin_says_with_the_rules_that_are_there(
    web, connect, make_rule, other_company
) -> None:
    connect()
    off = make_rule("deal_won", "400401")
    theirs = make_rule("deal_won", "400401", company=other_company)

    read(web)

    off.refresh_from_db()
    theirs.refresh_from_db()
    assert (off.linkedin_type, off.linkedin_method, off.linkedin_enabled) == (
        "PURCHASE",
        "CONVERSIONS_API",
        False,
    )
    assert (theirs.linkedin_type, theirs.linkedin_enabled, theirs.linkedin_read_at) == (
        "",
        None,
        None,
    )


def test_what_linkedin_said_goes_with_the_id(web, connect, make_rule) -> None:
    connect()
    rule = make_rule("deal_won", "104014")
    read(web)
    rule.refresh_from_db()

    services.save_rule(rule=rule)
    kept = rule.linkedin_type
    rule.linkedin_id = "77"
    services.save_rule(rule=rule)

    rule.refresh_from_db()
    assert kept == "PURCHASE"
    assert (
        rule.linkedin_type,
        rule.linkedin_method,
        rule.linkedin_enabled,
        rule.linkedin_read_at,
    ) == (
        "",
        "",
        None,
        None,
    )


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "Choose a CRM event for at least one rule."),
        ({"event_104011": ""}, "Choose a CRM event for at least one rule."),
        (
            {"event_104011": "lead_lost", "event_104012": "deal_won"},
            "Choose one of the CRM events",
        ),
        (
            {"event_400401": "deal_won", "event_104012": "deal_won"},
            "LinkedIn no longer lists one of the rules",
        ),
        ({"event_666": "deal_won"}, "LinkedIn no longer lists one of the rules"),
    ],
)
def test_a_choice_that_makes_no_sense_is_refused_and_nothing_is_saved(
    web, connect, data, message
) -> None:
    connect()

    page = web.post(PAGE, data)

    assert message in page.content.decode()
    assert rules() == []


def test_one_bad_row_keeps_all_from_being_saved(company, connect) -> None:
    connect()
    good = LinkedInRule("1", "Good", "LEAD", "CONVERSIONS_API", True)
    bad = LinkedInRule("x", "Bad", "LEAD", "CONVERSIONS_API", True)

    with pytest.raises(Exception, match="digits"):
        import_rules(
            company=company,
            chosen=[ChosenRule(good, "lead_created"), ChosenRule(bad, "lead_created")],
        )

    assert rules() == []


def test_250_rules_are_offered_in_pages(web, connect) -> None:
    connect(account="250250")

    first, last = read(web), web.get(f"{PAGE}?page=2")

    assert (len(offered(first)), len(offered(last))) == (100, 68)
    assert set(offered(first)).isdisjoint(offered(last))
    assert "1 to 100 of 168 rules" in first.content.decode()
    assert "82 rules left out" in first.content.decode()


def test_the_list_is_read_once_for_all_pages_and_only_when_asked(
    web, connect, sandbox
) -> None:
    connect()

    unread = web.get(PAGE)
    before = len(sandbox.ledger.tail(10))
    read(web)
    again = web.get(PAGE)
    once = len(sandbox.ledger.tail(10))
    read(web)

    assert "Read the rules from LinkedIn" in unread.content.decode()
    assert len(offered(again)) == 8
    assert (before, once, len(sandbox.ledger.tail(10))) == (0, 1, 2)


def test_a_page_that_is_only_opened_asks_nobody_and_changes_nothing(
    web, connect, sandbox, make_rule
) -> None:
    connect()
    make_rule("deal_won", "400401")
    before = checksum_of_everything(without=WRITTEN_BY_READING)

    for query in ("", "?read=1", "?anew", "?page=2"):
        assert web.get(PAGE + query).status_code == 200

    assert sandbox.ledger.tail(10) == []
    assert checksum_of_everything(without=WRITTEN_BY_READING) == before


def test_another_token_or_account_has_its_own_list(web, connect, sandbox) -> None:
    connect()
    read(web)

    connect(account="250250")
    page = read(web)

    assert offered(page)[0] == "200001"


def test_a_list_is_never_shown_to_another_company(
    client_as, web, connect, other_company
) -> None:
    connect()
    services.save_token(
        company=other_company,
        token="AQX-sendonly-token-0123456789",
        ad_account_id="512345678",
    )
    read(web)

    theirs = client_as(join(other_company, Role.ADMIN, email="eve@example.com"))
    theirs = read(theirs)

    assert "left_out" not in theirs.context
    assert "104011" not in theirs.content.decode()


@pytest.mark.parametrize(
    ("token", "account", "said"),
    [
        (
            "AQX-sendonly-token-0123456789",
            "512345678",
            "The first is normal for a Direct API token",
        ),
        (TOKEN, "403403", "LinkedIn&#x27;s message: “No ad accounts found”"),
        ("AQX-revoked-token-0123456789", "512345678", "LinkedIn says 401"),
        (TOKEN, "500500", "LinkedIn has technical problems"),
    ],
)
def test_where_the_list_can_not_be_read_the_page_says_why_and_leads_to_pasting(
    web, connect, token, account, said
) -> None:
    connect(token=token, account=account)

    page = read(web).content.decode().replace("LinkedIn's", "LinkedIn&#x27;s")

    assert said in page
    assert f'href="{reverse("rule_new")}"' in page
    assert token not in page


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Fault(status=200, body="<html>"), "not a readable list of rules"),
        (Fault(cut_after=40), "not a readable list of rules"),
        (
            Fault(status=426, body='{"status":426,"code":"NONEXISTENT_VERSION"}'),
            "LinkedIn says 426",
        ),
        (Fault(status=426, body="Upgrade Required"), "not a readable list of rules"),
        (
            Fault(status=401, body='{"message":"Unauthorized"}'),
            "not a readable list of rules",
        ),
        (
            Fault(status=403, body="<html>Forbidden</html>"),
            "not a readable list of rules",
        ),
        (Fault(status=404, body=""), "not a readable list of rules"),
        (Fault(status=400), "LinkedIn rejected the request for the rules"),
    ],
)
def test_garbage_changes_nothing_here(web, connect, sandbox, fault, said) -> None:
    connect()
    before = Connection.objects.values().get()
    sandbox.faults.add(fault)

    page = read(web)

    assert said in page.content.decode()
    assert Connection.objects.values().get() == before


def test_a_linkedin_that_does_not_answer_holds_the_page_for_its_time_only(
    web, connect, sandbox, monkeypatch
) -> None:
    monkeypatch.setattr(
        "capi.delivery.linkedin_rules.fetch_rules.__kwdefaults__", {"seconds": 0.3}
    )
    connect()
    sandbox.faults.add(Fault(delay_ms=2_000))

    page = read(web)

    assert "LinkedIn did not respond in time" in page.content.decode()


def test_odd_names_are_text_and_nothing_else(web, connect, sandbox) -> None:
    connect()
    sandbox.faults.add(
        listing('"><script>alert(1)</script>', "{{ 7|add:7 }}", "", "x" * 400)
    )

    page = read(web).content.decode()
    web.post(PAGE, {f"event_{number}": "deal_won" for number in range(1, 5)})

    assert "<script>alert" not in page
    assert "&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert rules() == [
        ("deal_won", "1", '"><script>alert(1)</script>'),
        ("deal_won", "2", "{{ 7|add:7 }}"),
        ("deal_won", "3", "Conversion 3"),
        ("deal_won", "4", "x" * 120),
    ]


def test_without_a_token_the_page_asks_for_one_and_asks_nobody(web, sandbox) -> None:
    page = web.get(PAGE).content.decode()

    assert "No access token is saved." in page
    assert sandbox.ledger.tail(10) == []


def test_a_token_that_can_not_be_opened_is_said(web, company, connect, sandbox) -> None:
    connect()
    Connection.objects.for_company(company).update(sealed_token="gAAAA")

    page = read(web).content.decode()

    assert "can't be decrypted with this" in page.replace("&#x27;", "'")
    assert sandbox.ledger.tail(10) == []


def test_a_missing_ad_account_is_asked_for_and_then_its_rules_are_shown(
    web, company, connect, sandbox
) -> None:
    connect(account="")

    asked = web.get(PAGE).content.decode()
    answer = web.post(
        ACCOUNT, {"ad_account_id": " urn:li:sponsoredAccount:512345678 "}, follow=True
    )

    assert "Which ad account are the rules in?" in asked
    assert answer.redirect_chain == [(PAGE, 302)]
    assert "Read the rules from LinkedIn" in answer.content.decode()
    assert len(offered(read(web))) == 8
    assert Connection.objects.get(company=company).ad_account_id == "512345678"
    assert AuditEntry.objects.get(action="ad_account_saved").company == company


@pytest.mark.parametrize("wrong", ["", "abc", "-1", "0123", "9" * 20, "9" * 101])
def test_what_can_be_no_ad_account_is_refused(
    web, company, connect, sandbox, wrong
) -> None:
    connect(account="")

    page = web.post(ACCOUNT, {"ad_account_id": wrong})

    assert page.context["account_form"].errors.keys() == {"ad_account_id"}
    assert Connection.objects.get(company=company).ad_account_id == ""
    assert sandbox.ledger.tail(10) == []


def test_asking_linkedin_too_often_is_held_back(
    web, connect, sandbox, one_minute
) -> None:
    connect()

    pages = [read(web) for _ in range(11)]

    assert "left_out" in pages[9].context
    assert "Your company may do this 10 times a minute." in pages[10].content.decode()
    assert len(sandbox.ledger.tail(20)) == 10


def test_the_page_asks_the_database_as_often_for_many_rules_as_for_few(
    web, company, connect, django_assert_max_num_queries
) -> None:
    connect(account="250250")
    read(web)
    for number in range(30):
        ConversionRule.objects.create(
            company=company,
            crm_event="lead_created",
            linkedin_id=str(200001 + number),
            name="Ours",
        )

    with django_assert_max_num_queries(13):
        web.get(PAGE)


@pytest.mark.django_db(transaction=True)
def test_two_admins_who_import_at_once_make_each_rule_once(company, connect) -> None:
    connect()
    chosen = [
        ChosenRule(
            LinkedInRule(
                str(number), f"Rule {number}", "LEAD", "CONVERSIONS_API", True
            ),
            "lead_created",
        )
        for number in range(1, 21)
    ]
    gate, done = threading.Barrier(2), []

    def run() -> None:
        gate.wait()
        done.append(import_rules(company=company, chosen=chosen))
        connections.close_all()

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(done, key=lambda one: one.added) == [Imported(0, 20), Imported(20, 0)]
    assert len(rules()) == 20
