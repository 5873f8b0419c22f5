"""Losing a deal asks why; the move itself stays one save, which can be undone."""

import html
import re

import pytest

from crm.models import Change, CrmEvent, Deal, LostReason, Pipeline, Stage
from crm.services.picklists import archive_entry, delete_entry
from crm.services.pipelines import add_pipeline
from tests.conftest import make_deal, make_lead

pytestmark = pytest.mark.django_db


@pytest.fixture
def price(company):
    company.grace_seconds = 30
    company.save()
    return LostReason.objects.create(company=company, name="Price")


@pytest.fixture
def deal(company):
    return make_deal(make_lead(company))


def stage(company, name):
    return Stage.objects.for_company(company).get(name=name)


def lost_url(deal):
    return f"/deals/{deal.pk}/lost/"


def lose(client, deal, **answer):
    """Answer the question as from a page that was opened just now."""
    seen = Deal.objects.get(pk=deal.pk).stage_id
    return client.post(
        lost_url(deal),
        {"stage": stage(deal.company, "Lost").pk, "seen": seen, **answer},
        follow=True,
    )


def kinds(deal):
    return list(
        CrmEvent.objects.filter(deal=deal, taken_back_at=None)
        .order_by("pk")
        .values_list("kind", flat=True)
    )


def undo(client, response):
    url = re.search(r'action="(/undo/[0-9a-f-]+/)"', response.content.decode()).group(1)
    return client.post(url, follow=True)


def test_a_company_without_reasons_is_asked_nothing(client_as, sales, company, deal):
    client_as(sales).post(
        f"/deals/{deal.pk}/move/", {"stage": stage(company, "Lost").pk}
    )

    assert kinds(deal) == ["deal_created", "deal_lost"]


@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}])
def test_a_move_to_lost_asks_first_and_moves_nothing_yet(
    client_as, sales, company, deal, price, headers
):
    lost = stage(company, "Lost")
    client = client_as(sales)

    response = client.post(
        f"/deals/{deal.pk}/move/",
        {"stage": lost.pk, "next": "/deals/"},
        headers=headers,
    )

    url = response.headers.get("HX-Redirect") or response.url
    assert url == f"/deals/{deal.pk}/lost/?stage={lost.pk}&next=%2Fdeals%2F"
    page = client.get(url).content.decode()
    assert "Mark <bdi>Forty licences</bdi> as lost?" in page
    assert "Price" in page
    assert Deal.objects.get().stage == deal.stage


def test_a_move_to_won_or_between_open_stages_asks_nothing(
    client_as, sales, company, deal, price
):
    for name in ("Proposal", "Won"):
        client_as(sales).post(
            f"/deals/{deal.pk}/move/", {"stage": stage(company, name).pk}
        )

        assert Deal.objects.get().stage.name == name


def test_the_answer_and_the_move_are_one_save(client_as, sales, company, deal, price):
    page = lose(
        client_as(sales),
        deal,
        lost_reason=price.pk,
        outcome_note="Twice as much as theirs.",
    )

    deal.refresh_from_db()
    assert (deal.stage.name, deal.lost_reason, deal.outcome_note) == (
        "Lost",
        price,
        "Twice as much as theirs.",
    )
    assert kinds(deal) == ["deal_created", "deal_lost"]
    assert len(set(Change.objects.values_list("action", "changed_at"))) == 1
    assert "Forty licences is now in Lost." in page.content.decode()
    shown = client_as(sales).get(f"/deals/{deal.pk}/").content.decode()
    assert "Lost reason: none → Price" in shown
    assert "Twice as much as theirs." in shown


def test_an_answer_without_a_reason_moves_the_deal(client_as, sales, deal, price):
    lose(client_as(sales), deal)

    deal.refresh_from_db()
    assert (deal.stage.name, deal.lost_reason) == ("Lost", None)


def test_the_dialog_says_that_its_stage_was_archived_meanwhile(
    client_as, sales, company, deal, price
):
    lost = stage(company, "Lost")
    Stage.objects.create(company=company, name="Dropped", meaning="lost")
    archive_entry(entry=lost)

    response = client_as(sales).post(
        lost_url(deal),
        {"stage": lost.pk, "seen": deal.stage_id, "lost_reason": price.pk},
        headers={"HX-Request": "true"},
    )

    text = "<bdi>Lost</bdi> was archived. Choose another stage."
    assert text in response.content.decode()
    assert response.headers["HX-Retarget"] == "#question-body"
    assert Deal.objects.get().stage == deal.stage


@pytest.mark.parametrize("is_required", [True, False])
def test_no_reason_is_offered_unless_the_company_requires_one(
    client_as, sales, company, deal, price, is_required
):
    company.requires_lost_reason = is_required
    company.save()
    url = f"{lost_url(deal)}?stage={stage(company, 'Lost').pk}"

    page = client_as(sales).get(url).content.decode()

    assert ("No reason" in page) is not is_required
    assert "Not now" not in page


def test_the_dialog_shows_the_form_again_if_the_answer_cannot_be_saved(
    client_as, sales, company, deal, price
):
    company.requires_lost_reason = True
    company.save()
    won = stage(company, "Won").pk
    answer = {"stage": stage(company, "Lost").pk, "seen": deal.stage_id}
    client = client_as(sales)

    unanswered = client.post(lost_url(deal), answer, headers={"HX-Request": "true"})
    Deal.objects.update(stage=won)
    conflict = client.post(
        lost_url(deal),
        answer | {"lost_reason": price.pk},
        headers={"HX-Request": "true"},
    )

    for response, sentence in (
        (unanswered, "Choose a reason."),
        (conflict, "moved to Won meanwhile"),
    ):
        assert response.status_code == 200
        assert response.headers["HX-Retarget"] == "#question-body"
        assert response.headers["HX-Reselect"] == "#loss"
        assert sentence in response.content.decode()
    assert Deal.objects.get().stage_id == won


def test_a_company_that_wants_a_reason_gets_one(client_as, sales, company, deal, price):
    company.requires_lost_reason = True
    company.save()
    client = client_as(sales)
    lost = stage(company, "Lost")
    form = {"title": "Forty licences", "currency": "EUR", "stage": lost.pk}

    skipped = lose(client, deal)
    edited = client.post(f"/deals/{deal.pk}/edit/", form)

    assert "Choose a reason." in skipped.content.decode()
    assert "No reason" not in skipped.content.decode()
    assert "Choose a reason why the deal was lost." in edited.content.decode()
    assert Deal.objects.get().stage == deal.stage
    client.post(f"/deals/{deal.pk}/edit/", {**form, "lost_reason": price.pk})
    assert Deal.objects.get().lost_reason == price
    without = client.post(f"/deals/{deal.pk}/edit/", {**form, "lost_reason": ""})
    assert "Choose a reason why the deal was lost." in without.content.decode()
    assert Deal.objects.get().lost_reason == price


def test_a_new_deal_in_a_lost_stage_says_why_where_the_company_wants_it(
    client_as, sales, company, price
):
    client = client_as(sales)
    url = f"/deals/new/?lead={make_lead(company).pk}"
    form = {
        "title": "Ten licences",
        "currency": "EUR",
        "stage": stage(company, "Lost").pk,
    }
    assert "lost_reason" not in client.get(url).context["form"].fields
    company.requires_lost_reason = True
    company.save()

    assert (
        "Choose a reason why the deal was lost."
        in client.post(url, form).content.decode()
    )

    assert not Deal.objects.exists()
    client.post(url, {**form, "lost_reason": price.pk})
    assert Deal.objects.get().lost_reason == price


def test_a_deal_that_a_script_has_lost_without_a_reason_can_be_edited(
    client_as, sales, company, deal, price
):
    company.requires_lost_reason = True
    company.save()
    lost = stage(company, "Lost")
    Deal.objects.update(stage=lost)

    client_as(sales).post(
        f"/deals/{deal.pk}/edit/",
        {"title": "Ten licences", "currency": "EUR", "stage": lost.pk},
    )

    assert Deal.objects.get().title == "Ten licences"


def test_undo_brings_back_the_stage_without_the_reason(client_as, sales, deal, price):
    client = client_as(sales)

    undo(client, lose(client, deal, lost_reason=price.pk))

    assert (Deal.objects.get().stage, Deal.objects.get().lost_reason) == (
        deal.stage,
        None,
    )
    assert kinds(deal) == ["deal_created"]


def test_undo_of_opening_a_lost_deal_again_brings_back_its_reason(
    client_as, sales, company, deal, price
):
    client = client_as(sales)
    lose(client, deal, lost_reason=price.pk, outcome_note="Too dear.")

    opened = client.post(
        f"/deals/{deal.pk}/move/", {"stage": stage(company, "Proposal").pk}, follow=True
    )
    assert Deal.objects.get().lost_reason is None
    undo(client, opened)

    deal.refresh_from_db()
    assert (deal.stage.name, deal.lost_reason, deal.outcome_note) == (
        "Lost",
        price,
        "Too dear.",
    )


def test_undo_does_without_a_reason_that_was_deleted_since(
    client_as, sales, company, deal, price
):
    client = client_as(sales)
    lose(client, deal, lost_reason=price.pk)
    opened = client.post(
        f"/deals/{deal.pk}/move/", {"stage": stage(company, "Proposal").pk}, follow=True
    )
    delete_entry(entry=price, move_to=None)

    undo(client, opened)

    assert (Deal.objects.get().stage.name, Deal.objects.get().lost_reason) == (
        "Lost",
        None,
    )


def test_a_reason_added_after_a_move_without_one_is_gone_once_the_move_is_undone(
    client_as, sales, deal, price
):
    client = client_as(sales)
    response = lose(client, deal)
    Deal.objects.update(lost_reason=price)

    undo(client, response)

    assert (Deal.objects.get().stage, Deal.objects.get().lost_reason) == (
        deal.stage,
        None,
    )


def test_a_won_deal_does_not_say_why_it_was_lost(
    client_as, sales, company, deal, price
):
    client = client_as(sales)
    lose(client, deal, lost_reason=price.pk, outcome_note="Too dear.")

    client.post(f"/deals/{deal.pk}/move/", {"stage": stage(company, "Won").pk})

    assert (Deal.objects.get().lost_reason, Deal.objects.get().outcome_note) == (
        None,
        "",
    )


def test_a_reason_that_was_archived_meanwhile_is_refused_in_words(
    client_as, sales, company, deal, price
):
    LostReason.objects.create(company=company, name="Timing")
    LostReason.objects.filter(pk=price.pk).update(archived_at="2026-01-01T00:00Z")

    response = lose(client_as(sales), deal, lost_reason=price.pk)

    assert "The one you chose is no longer in use." in response.content.decode()
    assert Deal.objects.get().stage == deal.stage


def test_a_lost_stage_that_was_archived_meanwhile_is_refused_in_words(
    client_as, sales, company, deal, price
):
    Stage.objects.create(company=company, name="Dropped", meaning="lost")
    archive_entry(entry=stage(company, "Lost"))

    page = lose(
        client_as(sales), deal, lost_reason=price.pk, outcome_note="Too dear."
    ).content.decode()

    assert "Nothing was changed: Lost was archived. Choose another stage." in page
    assert "Too dear.</textarea>" in page
    assert Deal.objects.get().stage == deal.stage


def test_a_deal_that_another_person_has_lost_meanwhile_is_lost_once(
    client_as, sales, company, deal, price
):
    timing = LostReason.objects.create(company=company, name="Timing")
    opened = deal.stage_id
    client = client_as(sales)
    lose(client, deal, lost_reason=price.pk, outcome_note="Too dear.")

    refused = lose(
        client,
        deal,
        lost_reason=timing.pk,
        outcome_note="They wait for spring.",
        seen=opened,
    )

    assert refused.status_code == 409
    text = html.unescape(refused.content.decode())
    assert "this deal has been moved to Lost meanwhile, with the reason “Price”" in text
    assert "They wait for spring." in text
    assert "is now in Lost" not in text
    deal.refresh_from_db()
    assert (deal.lost_reason, deal.outcome_note) == (price, "Too dear.")
    # After reading that.
    lose(client, deal, lost_reason=timing.pk, outcome_note="They wait for spring.")
    deal.refresh_from_db()
    assert (deal.lost_reason, deal.outcome_note) == (timing, "They wait for spring.")
    assert kinds(deal) == ["deal_created", "deal_lost"]


def test_an_answer_that_is_submitted_twice_is_saved_once_and_no_conflict(
    client_as, sales, deal, price
):
    client = client_as(sales)
    answer = {
        "lost_reason": price.pk,
        "outcome_note": "Too dear.",
        "seen": deal.stage_id,
    }

    pages = [lose(client, deal, **answer).content.decode() for _ in range(2)]

    assert "Forty licences is now in Lost." in pages[0]
    assert "Forty licences is in Lost already." in pages[1]
    assert kinds(deal) == ["deal_created", "deal_lost"]


def test_a_deal_that_another_person_has_won_meanwhile_stays_won(
    client_as, sales, company, deal, price
):
    client = client_as(sales)
    Deal.objects.update(stage=stage(company, "Won"))

    for answer in ({"lost_reason": price.pk}, {}):
        assert lose(client, deal, **answer, seen=deal.stage_id).status_code == 409

    assert Deal.objects.get().stage.name == "Won"


def test_a_note_is_saved_without_the_reason_if_the_last_one_was_archived_meanwhile(
    client_as, sales, deal, price
):
    archive_entry(entry=price)

    page = lose(
        client_as(sales), deal, lost_reason=price.pk, outcome_note="Too dear."
    ).content.decode()

    deal.refresh_from_db()
    assert (deal.stage.name, deal.lost_reason, deal.outcome_note) == (
        "Lost",
        None,
        "Too dear.",
    )
    assert "The reason that you chose is no longer in use. None was saved." in page


@pytest.mark.parametrize("reason", ["nonsense", "9" * 30, "\x00", "theirs"])
def test_an_unknown_reason_and_another_companys_are_refused(
    client_as, sales, other_company, deal, price, reason
):
    theirs = LostReason.objects.create(company=other_company, name="Theirs")

    response = lose(
        client_as(sales), deal, lost_reason=theirs.pk if reason == "theirs" else reason
    )

    assert response.status_code == 200
    assert Deal.objects.get().stage == deal.stage


def test_a_deal_moves_to_the_first_open_stage_of_another_pipeline_and_nothing_fires(
    client_as, sales, company, deal
):
    renewals = add_pipeline(pipeline=Pipeline(company=company, name="Renewals"))
    first = Stage.objects.of(renewals)[0]
    client = client_as(sales)

    page = client.get(f"/deals/{deal.pk}/").content.decode()
    client.post(f"/deals/{deal.pk}/move/", {"stage": first.pk})

    assert re.search(
        rf'<button name="stage" value="{first.pk}">.*Move to <bdi>Renewals</bdi>',
        page,
        re.S,
    )
    assert Deal.objects.get().stage == first
    assert kinds(deal) == ["deal_created"]
    form = client.get(f"/deals/{deal.pk}/edit/").content.decode()
    assert re.findall(r'<optgroup label="(\w+)"', form) == ["Sales", "Renewals"]


@pytest.mark.parametrize("closed", ["Won", "Lost"])
def test_a_closed_deal_is_offered_no_other_pipeline(
    client_as, sales, company, deal, closed
):
    Deal.objects.update(stage=stage(company, closed))
    add_pipeline(pipeline=Pipeline(company=company, name="Renewals"))

    assert client_as(sales).get(f"/deals/{deal.pk}/").context["other_pipelines"] == []
