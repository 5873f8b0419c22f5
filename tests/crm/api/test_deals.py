import json

import pytest

from crm.api.deals import DealSerializer
from crm.models import CrmEvent, Deal, LostReason, Pipeline, Stage
from crm.services.editing import move_deal
from crm.services.erasure import erase_lead
from crm.services.pipelines import add_pipeline, archive_pipeline
from tests.conftest import make_deal, make_lead
from tests.crm.api.calling import caller

URL = "/api/v1/deals/"


@pytest.fixture
def client(company):
    return caller(company, "sales")


@pytest.fixture
def ada(company):
    return make_lead(company)


def stage(company, meaning):
    return Stage.objects.for_company(company).filter(meaning=meaning).first()


def kinds(deal):
    return list(
        CrmEvent.objects.filter(deal=deal).order_by("pk").values_list("kind", flat=True)
    )


def test_a_deal_is_shown_in_full(company, client, ada):
    deal = make_deal(ada)

    answer = client.get(f"{URL}{deal.pk}/")

    assert answer.json() == {
        "id": deal.pk,
        "lead": ada.pk,
        "title": "Forty licences",
        "amount": "1250.00",
        "currency": "EUR",
        "stage": stage(company, "open").pk,
        "owner": None,
        "expected_close": None,
        "lost_reason": None,
        "outcome_note": "",
        "people": [],
        "tags": [],
        "custom": {},
        "external_ids": [],
        "created_at": deal.created_at.isoformat().replace("+00:00", "Z"),
        "updated_at": deal.updated_at.isoformat().replace("+00:00", "Z"),
    }


def test_a_deal_without_a_currency_gets_the_companys(company, client, ada):
    company.currency = "SEK"
    company.save()

    answer = client.post(
        URL, {"lead": ada.pk, "title": "Ten licences", "amount": "99.90"}
    )

    assert answer.status_code == 201
    deal = Deal.objects.get()
    assert (deal.company, deal.currency, str(deal.amount), deal.stage.meaning) == (
        company,
        "SEK",
        "99.90",
        "open",
    )
    assert kinds(deal) == ["deal_created"]


def test_making_a_won_deal_is_recorded_as_both(company, client, ada):
    client.post(
        URL,
        {"lead": ada.pk, "title": "Ten licences", "stage": stage(company, "won").pk},
    )

    assert kinds(Deal.objects.get()) == ["deal_created", "deal_won"]


@pytest.mark.parametrize(
    ("meaning", "kind"), [("won", "deal_won"), ("lost", "deal_lost")]
)
def test_moving_a_deal_is_recorded(company, client, ada, meaning, kind):
    deal = make_deal(ada)

    client.patch(f"{URL}{deal.pk}/", {"stage": stage(company, meaning).pk})

    assert kinds(deal) == ["deal_created", kind]


def test_the_amount_of_the_same_change_is_recorded_with_it(company, client, ada):
    deal = make_deal(ada)

    client.patch(
        f"{URL}{deal.pk}/", {"stage": stage(company, "won").pk, "amount": "2000"}
    )

    won = CrmEvent.objects.get(deal=deal, kind="deal_won")
    assert (str(won.amount), won.currency) == ("2000.00", "EUR")


DIGITS = ["Enter a number, such as 25000 or 1999.50."]
TOO_LARGE = ["Enter at most 12 digits before the decimal point."]
UNKNOWN = ["Unknown currency. Use a three-letter code such as EUR, USD or GBP."]


@pytest.mark.parametrize(
    ("data", "errors"),
    [
        ({"title": ""}, {"title": ["Enter a string that is not empty."]}),
        ({"title": "x" * 161}, {"title": ["Enter 160 characters at most."]}),
        ({"amount": "-0.01"}, {"amount": ["Enter an amount of zero or more."]}),
        ({"amount": "9" * 20}, {"amount": TOO_LARGE}),
        ({"amount": "1" + "0" * 12}, {"amount": TOO_LARGE}),
        ({"amount": "1.999"}, {"amount": ["Enter 2 decimal places at most."]}),
        ({"amount": "a lot"}, {"amount": DIGITS}),
        ({"amount": "Infinity"}, {"amount": DIGITS}),
        ({"amount": "NaN"}, {"amount": DIGITS}),
        ({"amount": True}, {"amount": DIGITS}),
        ({"currency": "XXX"}, {"currency": UNKNOWN}),
        ({"currency": "eur"}, {"currency": UNKNOWN}),
        ({"currency": ""}, {"currency": ["Enter a string that is not empty."]}),
        (
            {"expected_close": "31-12-2026"},
            {"expected_close": ["Enter a date, such as 2027-01-31."]},
        ),
        (
            {"expected_close": "0001-01-01"},
            {"expected_close": ["Enter a date in 2000 or later."]},
        ),
        ({"company": 1}, {"company": ["There is no such field."]}),
    ],
)
def test_bad_input_is_answered_with_400_and_nothing_is_written(
    client, ada, data, errors
):
    body = json.dumps({"lead": ada.pk, "title": "Ten licences", **data})

    answer = client.generic("POST", URL, body, content_type="application/json")

    assert answer.status_code == 400
    assert answer.json() == errors
    assert not Deal.objects.exists()


def test_a_deal_needs_a_lead_and_a_title(client):
    answer = client.post(URL, {})

    assert answer.status_code == 400
    assert answer.json() == {
        "lead": ["Enter a value: this field is required."],
        "title": ["Enter a value: this field is required."],
    }


def test_a_refused_change_changes_nothing(company, client, ada):
    deal = make_deal(ada)

    answer = client.patch(
        f"{URL}{deal.pk}/", {"stage": stage(company, "won").pk, "amount": "-1"}
    )

    assert answer.status_code == 400
    deal.refresh_from_db()
    assert (deal.stage.meaning, str(deal.amount)) == ("open", "1250.00")
    assert kinds(deal) == ["deal_created"]


def test_a_list_costs_the_same_however_long_it_is(
    company, client, ada, django_assert_num_queries
):
    client.get(URL)  # notes the use of the key
    for _ in range(20):
        make_deal(ada)

    # The key and its company, the deals, their people, tags and external ids, the custom fields.
    with django_assert_num_queries(6):
        answer = client.get(URL)

    assert len(answer.json()["results"]) == 20


@pytest.fixture
def price(company):
    return LostReason.objects.create(company=company, name="Price")


def test_a_deal_is_lost_with_a_reason_and_a_note_in_one_save(
    company, client, ada, price
):
    deal = make_deal(ada)
    body = {
        "stage": stage(company, "lost").pk,
        "lost_reason": price.pk,
        "outcome_note": "Twice as much.",
    }

    answer = client.patch(f"{URL}{deal.pk}/", body)

    assert (answer.status_code, answer.json()["lost_reason"]) == (200, price.pk)
    assert kinds(deal) == ["deal_created", "deal_lost"]
    assert Deal.objects.get().outcome_note == "Twice as much."


def test_a_deal_that_leaves_its_lost_stage_loses_its_reason(
    company, client, ada, price
):
    deal = make_deal(ada, stage=stage(company, "lost"), lost_reason=price)

    answer = client.patch(f"{URL}{deal.pk}/", {"stage": stage(company, "open").pk})

    assert (answer.status_code, answer.json()["lost_reason"]) == (200, None)
    assert Deal.objects.get().lost_reason is None


def test_a_won_deal_does_not_keep_the_note_of_its_loss(company, client, ada):
    deal = make_deal(ada, stage=stage(company, "lost"), outcome_note="Too dear.")

    client.patch(f"{URL}{deal.pk}/", {"stage": stage(company, "won").pk})

    assert Deal.objects.get().outcome_note == ""


def test_a_whole_deal_sent_back_as_won_does_not_keep_the_note_of_its_loss(
    company, client, ada
):
    deal = make_deal(ada, stage=stage(company, "lost"), outcome_note="Too dear.")
    body = client.get(f"{URL}{deal.pk}/").json()
    writable = {
        name: body[name]
        for name in ("lead", "title", "amount", "currency", "outcome_note")
    }

    answer = client.put(
        f"{URL}{deal.pk}/", {**writable, "stage": stage(company, "won").pk}
    )

    assert (answer.status_code, answer.json()["outcome_note"]) == (200, "")


@pytest.mark.parametrize("body", ["note", "stage", "reason"])
def test_a_change_that_was_checked_before_the_deal_was_moved_goes_by_its_new_stage(
    company, client, ada, price, monkeypatch, body
):
    deal = make_deal(
        ada, stage=stage(company, "lost"), lost_reason=price, outcome_note="Too dear."
    )
    bodies = {
        "note": {"outcome_note": "Far too dear."},
        "stage": {"stage": stage(company, "open").pk},
        "reason": {"lost_reason": price.pk},
    }
    update = DealSerializer.update

    def moved_just_before(*args, **kwargs):
        move_deal(
            deal=Deal.objects.get(),
            stage=stage(company, "won"),
            outcome_note="They loved the demo.",
        )
        return update(*args, **kwargs)

    monkeypatch.setattr(DealSerializer, "update", moved_just_before)

    answer = client.patch(f"{URL}{deal.pk}/", bodies[body])

    deal.refresh_from_db()
    expected = {
        "note": (200, "won", "Far too dear."),
        "stage": (200, "open", ""),
        "reason": (400, "won", "They loved the demo."),
    }
    assert (answer.status_code, deal.stage.meaning, deal.outcome_note) == expected[body]
    assert deal.lost_reason is None


def test_an_open_deal_has_no_lost_reason(client, ada, price):
    deal = make_deal(ada)

    answer = client.patch(f"{URL}{deal.pk}/", {"lost_reason": price.pk})

    assert answer.status_code == 400
    assert answer.json() == {
        "lost_reason": ["Only a deal in a lost stage has a lost reason."]
    }
    assert Deal.objects.get().lost_reason is None


def test_no_deal_is_moved_to_an_archived_pipeline(company, client, ada):
    pipeline = add_pipeline(pipeline=Pipeline(company=company, name="Renewals"))
    there = Stage.objects.of(pipeline)[0]
    kept = make_deal(
        ada, title="Closed there", stage=Stage.objects.of(pipeline).get(meaning="won")
    )
    archive_pipeline(pipeline=pipeline)

    answer = client.patch(f"{URL}{make_deal(ada).pk}/", {"stage": there.pk})

    assert answer.json() == {"stage": ["Choose one of your company's stages."]}
    assert client.patch(f"{URL}{kept.pk}/", {"stage": kept.stage_id}).status_code == 200


def test_a_note_about_an_erased_person_is_refused(client, ada):
    deal = make_deal(ada)
    erase_lead(lead=ada)

    answer = client.patch(f"{URL}{deal.pk}/", {"outcome_note": "Ada said so."})

    assert answer.status_code == 409
    assert Deal.objects.get().outcome_note == ""


def test_a_title_that_was_stored_before_it_was_refused_is_in_nobodys_way_but_the_rest_is_checked(
    company, client
):
    deal = make_deal(make_lead(company), title="\u2060")
    bodies = [{"amount": "5.00"}, {"expected_close": "1999-01-01"}, {"title": "\u200b"}]

    answers = [client.patch(f"{URL}{deal.pk}/", body) for body in bodies]

    assert [answer.status_code for answer in answers] == [200, 400, 400]
    assert list(answers[1].json()) == ["expected_close"]
