"""Step 2 on the LinkedIn page: rules are added, edited, switched, resumed and deleted."""

import re

import pytest
from django.urls import reverse

from capi.models import ConversionRule, CrmEventName

pytestmark = pytest.mark.django_db

NEW = reverse("rule_new")
FIELDS = {
    "crm_event": "deal_won",
    "name": "Purchase",
    "linkedin_id": "104012",
    "frequency": "once",
    "send_value": "on",
    "is_active": "on",
}


@pytest.fixture
def web(client_as, admin):
    return client_as(admin)


def hidden_values(page) -> dict[str, str]:
    """What the form of a rule was opened with."""
    return dict(
        re.findall(
            r'<input type="hidden" name="(initial-\w+)" value="([^"]*)"',
            page.content.decode(),
        )
    )


def test_a_rule_is_added(web, company) -> None:
    answer = web.post(NEW, FIELDS)

    rule = ConversionRule.objects.for_company(company).get()
    assert answer.url == "/integrations/linkedin/#map"
    assert (rule.crm_event, rule.linkedin_id, rule.name) == (
        "deal_won",
        "104012",
        "Purchase",
    )
    assert (rule.frequency, rule.send_value, rule.is_active) == ("once", True, True)


def test_a_rule_without_a_name_is_called_like_its_event(web) -> None:
    web.post(NEW, {**FIELDS, "name": ""})

    assert ConversionRule.objects.get().name == "Deal won"


def test_without_an_event_no_name_is_missed(web) -> None:
    answer = web.post(NEW, {"linkedin_id": "104012", "frequency": "once"})

    assert set(answer.context["form"].errors) == {"crm_event"}
    assert not ConversionRule.objects.exists()


def test_save_and_add_another_opens_the_form_again(web) -> None:
    answer = web.post(NEW, {**FIELDS, "add_another": "1"}, follow=True)

    assert answer.request["PATH_INFO"] == NEW
    assert "Purchase added." in answer.content.decode()


@pytest.mark.parametrize(
    ("crm_event", "sends"),
    [
        ("lead_created", False),
        ("lead_qualified", False),
        ("deal_created", True),
        ("deal_won", True),
        ("deal_lost", False),
    ],
)
def test_only_deals_that_may_bring_money_send_their_value(
    web, crm_event, sends
) -> None:
    web.post(NEW, {**FIELDS, "crm_event": crm_event})

    assert ConversionRule.objects.get().send_value is sends


def test_each_event_is_offered_with_its_code(web) -> None:
    page = web.get(NEW).content.decode()

    for event in CrmEventName:
        assert f"<strong>{event.label} <code>{event.value}</code></strong>" in page


def test_the_form_says_which_rules_the_new_one_repeats_and_saves_it_all_the_same(
    web, make_rule
) -> None:
    make_rule("deal_created", "104012", name="Purchase")
    typed = {
        "crm_event": "deal_won",
        "linkedin_id": "urn:lla:llaPartnerConversion:104012",
        "name": "purchase",
    }

    part = web.get(NEW, typed, headers={"HX-Request": "true"}).content.decode()
    web.post(NEW, FIELDS)

    assert "“Purchase” sends “Deal created” to the same LinkedIn rule" in part
    assert "Another rule is called “purchase” too" in part
    assert ConversionRule.objects.count() == 2


@pytest.mark.parametrize(
    ("state", "word"), [("off", "switched off"), ("deleted", "deleted")]
)
def test_the_form_says_which_earlier_rule_was_mapped_to_the_same(
    web, make_rule, state, word
) -> None:
    rule = make_rule("deal_won", "104012", name="Sale", is_active=state != "off")
    if state == "deleted":
        rule.delete()
    typed = {
        "crm_event": "deal_won",
        "linkedin_id": "urn:lla:llaPartnerConversion:104012",
        "name": "Purchase",
    }

    part = web.get(NEW, typed, headers={"HX-Request": "true"}).content.decode()
    other = web.get(
        NEW, typed | {"crm_event": "deal_lost"}, headers={"HX-Request": "true"}
    ).content.decode()

    assert f"“Sale”, which is {word}, was mapped to the same LinkedIn rule" in part
    assert "was mapped to" not in other


def test_an_edited_rule_does_not_repeat_itself(web, make_rule) -> None:
    rule = make_rule("deal_won", "104012", name="Purchase")

    assert (
        "note wait"
        not in web.get(reverse("rule_edit", args=[rule.pk])).content.decode()
    )


@pytest.mark.parametrize(
    "pasted", ["urn:lla:llaPartnerConversion:104012", "  104012 \n"]
)
def test_a_pasted_id_loses_its_prefix_and_white_space(web, pasted) -> None:
    web.post(NEW, {**FIELDS, "linkedin_id": pasted})

    assert ConversionRule.objects.get().linkedin_id == "104012"


@pytest.mark.parametrize(
    ("linkedin_id", "message"),
    [
        ("", "Paste the id of the conversion rule from Campaign Manager."),
        ("   ", "Paste the id of the conversion rule from Campaign Manager."),
        ("104 012", "Enter the id as digits only, without blanks or letters."),
        ("abc", "Enter the id as digits only, without blanks or letters."),
        ("-104012", "Enter the id as digits only, without blanks or letters."),
        ("0104012", "The id can't begin with zero."),
        ("0", "The id can't begin with zero."),
        ("٣٤٥", "Enter the id as digits only, without blanks or letters."),
        ("9" * 20, "The id is too long: it has at most 19 digits."),
        ("9" * 101, "A LinkedIn rule id has at most 19 digits."),
    ],
)
def test_what_can_be_no_rule_id_is_refused(web, linkedin_id, message) -> None:
    page = web.post(NEW, {**FIELDS, "linkedin_id": linkedin_id})

    assert page.context["form"].errors == {"linkedin_id": [message]}
    assert not ConversionRule.objects.exists()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "x" * 121),
        ("crm_event", "lead_lost"),
        ("crm_event", ""),
        ("frequency", "twice"),
    ],
)
def test_other_nonsense_is_refused_too(web, field, value) -> None:
    page = web.post(NEW, {**FIELDS, field: value})

    assert page.context["form"].errors.keys() == {field}
    assert not ConversionRule.objects.exists()


def test_a_second_active_rule_for_the_same_event_and_id_is_refused(
    web, make_rule
) -> None:
    make_rule("deal_won", "104012")

    page = web.post(NEW, FIELDS)

    assert page.context["form"].non_field_errors() == [
        "An active rule sends this CRM event to this LinkedIn rule id already."
    ]
    assert ConversionRule.objects.count() == 1


def test_the_same_event_and_id_is_fine_while_one_of_them_is_off(web, make_rule) -> None:
    make_rule("deal_won", "104012", is_active=False)

    web.post(NEW, FIELDS)

    assert ConversionRule.objects.count() == 2


def test_switching_on_a_second_rule_for_the_same_event_and_id_is_refused(
    web, make_rule
) -> None:
    make_rule("deal_won", "104012")
    off = make_rule("deal_won", "104012", is_active=False)

    page = web.post(reverse("rule_active", args=[off.pk]), {"active": "1"}, follow=True)

    off.refresh_from_db()
    assert not off.is_active
    assert (
        "An active rule sends this CRM event to this LinkedIn rule id already."
        in page.content.decode()
    )


def test_an_edited_rule_goes_on_and_keeps_its_crm_event(web, make_rule) -> None:
    rule = make_rule(
        "deal_won", "404404", is_paused=True, paused_reason="rule_not_found"
    )

    web.post(reverse("rule_edit", args=[rule.pk]), {**FIELDS, "crm_event": "deal_lost"})

    rule.refresh_from_db()
    assert (rule.crm_event, rule.linkedin_id, rule.is_paused) == (
        "deal_won",
        "104012",
        False,
    )


def test_a_form_that_was_opened_earlier_switches_nothing_on_again(
    web, make_rule
) -> None:
    rule = make_rule("deal_won", "104012", name="Purchase")
    opened = hidden_values(web.get(page := reverse("rule_edit", args=[rule.pk])))
    web.post(reverse("rule_active", args=[rule.pk]), {"active": "0"})

    web.post(page, {**FIELDS, **opened, "name": "Won"})

    rule.refresh_from_db()
    assert (rule.name, rule.is_active) == ("Won", False)


def test_what_two_admins_have_changed_at_once_is_not_overwritten_unseen(
    web, make_rule
) -> None:
    rule = make_rule("deal_won", "104012", name="Purchase")
    opened = hidden_values(web.get(page := reverse("rule_edit", args=[rule.pk])))
    web.post(page, {**FIELDS, **opened, "linkedin_id": "104013"})

    refused = web.post(page, {**FIELDS, **opened, "linkedin_id": "104014"})
    after_refusal = ConversionRule.objects.get().linkedin_id
    web.post(page, {**FIELDS, **hidden_values(refused), "linkedin_id": "104014"})

    assert "this was changed after you opened it" in refused.content.decode()
    assert (after_refusal, ConversionRule.objects.get().linkedin_id) == (
        "104013",
        "104014",
    )


def test_a_look_at_how_often_a_rule_would_fire_loses_nothing_that_was_typed(
    web, make_rule
) -> None:
    rule = make_rule("deal_won", "104012", name="Purchase")
    opened = hidden_values(web.get(page := reverse("rule_edit", args=[rule.pk])))

    shown = web.post(page, {**FIELDS, **opened, "name": "Won", "preview": "1"})
    web.post(page, {**FIELDS, **hidden_values(shown), "name": "Won"})

    assert 'value="Won"' in shown.content.decode()
    assert ConversionRule.objects.get().name == "Won"


def test_a_rule_is_switched_off_and_on(web, make_rule) -> None:
    rule = make_rule()
    address = reverse("rule_active", args=[rule.pk])

    web.post(address, {"active": "0"})
    after_off = ConversionRule.objects.get().is_active
    web.post(address, {"active": "1"})

    assert after_off is False
    assert ConversionRule.objects.get().is_active is True


def test_a_rule_that_linkedin_paused_is_resumed(web, make_rule) -> None:
    rule = make_rule(
        is_paused=True,
        paused_reason="rule_misconfigured",
        paused_message="Conversion is disabled",
    )

    web.post(reverse("rule_resume", args=[rule.pk]))

    rule.refresh_from_db()
    assert (rule.is_paused, rule.paused_reason, rule.paused_message) == (False, "", "")


def test_deleting_a_rule_asks_first(web, make_rule) -> None:
    rule = make_rule(name="New lead")
    address = reverse("rule_delete", args=[rule.pk])

    question = web.get(address).content.decode()
    asked = ConversionRule.objects.count()
    web.post(address)

    assert "Delete New lead?" in question
    assert asked == 1
    assert not ConversionRule.objects.exists()


def test_the_form_says_when_each_event_fires_and_warns_about_lost_deals(web) -> None:
    page = web.get(NEW).content.decode()

    for linkedin_type in (
        "Lead, Sign Up",
        "Qualified Lead, Marketing Qualified Lead",
        "Key Page View, Sales Qualified Lead, Other",
        "Purchase",
    ):
        assert f"Usual type in LinkedIn: <b>{linkedin_type}</b>" in page
    assert "Usual type in LinkedIn: <b>none; if you send it, use Other</b>" in page
    assert "No campaign should optimise for it" in page
    assert page.count("Send no value, and assign it to no campaign.") == 1
    assert page.count("to no campaign") == page.count("no value") == 1


@pytest.mark.parametrize(
    ("version", "is_known"), [("202607", False), ("202608", True), ("202609", True)]
)
def test_two_types_are_named_only_where_the_api_version_knows_them(
    web, settings, version, is_known
) -> None:
    settings.LINKEDIN_API_VERSION = version

    page = web.get(NEW).content.decode()

    assert [f"{kind} Qualified Lead" in page for kind in ("Marketing", "Sales")] == [
        is_known
    ] * 2
    assert "Usual type in LinkedIn: <b>Key Page View" in page


def test_what_only_a_post_may_do_does_nothing_on_get(web, make_rule) -> None:
    rule = make_rule()

    answers = [
        web.get(reverse(name, args=[rule.pk]))
        for name in ("rule_active", "rule_resume", "rule_test")
    ]

    assert [(answer.status_code, answer.url) for answer in answers] == [
        (302, rule.get_absolute_url())
    ] * 3
