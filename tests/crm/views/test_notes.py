"""Notes and calls on the pages of leads and deals."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone

from crm.models import Deal, Lead, Note
from crm.services.undo import NothingToUndo, undo
from tests.conftest import make_deal, make_lead, make_note

pytestmark = pytest.mark.django_db


@pytest.fixture
def lead(company):
    return make_lead(company)


def filled_in(text="Wants forty seats", kind="note", **fields):
    return {"text": text, "kind": kind, **fields}


def erase(lead):
    Lead.objects.filter(pk=lead.pk).update(
        erased_at=timezone.now(), first_name="", email="", share_with_ad_platforms=False
    )


@pytest.mark.parametrize("kind", ["note", "call"])
def test_a_note_on_a_lead_is_in_its_history(client_as, sales, lead, kind):
    client = client_as(sales)

    answer = client.post(
        f"/leads/{lead.pk}/notes/", filled_in("Wants <b>forty</b>\r\nseats", kind)
    )

    page = client.get(answer.url).content.decode()
    note = Note.objects.get()
    assert answer.url == f"/leads/{lead.pk}/"
    assert (note.lead, note.deal, note.kind, note.text, note.actor) == (
        lead, None, kind, "Wants <b>forty</b>\nseats", sales.user,
    )  # fmt: skip
    assert "Wants &lt;b&gt;forty&lt;/b&gt; seats" in page
    assert f"<strong>{kind.title()}</strong>" in page
    assert "by <bdi>Sales Jansen</bdi>" in page


def test_a_note_on_a_deal_is_in_the_history_of_the_deal_and_of_its_lead(
    client_as, sales, lead
):
    deal, client = make_deal(lead), client_as(sales)

    answer = client.post(f"/deals/{deal.pk}/notes/", filled_in())

    pages = [
        client.get(url).content.decode()
        for url in (f"/deals/{deal.pk}/", f"/leads/{lead.pk}/")
    ]
    assert answer.url == f"/deals/{deal.pk}/"
    assert ["Wants forty seats" in page for page in pages] == [True, True]


def test_ops_read_no_note_and_find_no_form(client_as, sales, ops, lead):
    make_note(sales, lead)

    page = client_as(ops).get(f"/leads/{lead.pk}/").content.decode()

    assert "Wants forty seats" not in page
    assert "/notes/" not in page
    assert (
        client_as(ops).post(f"/leads/{lead.pk}/notes/", filled_in()).status_code == 403
    )


def test_a_double_click_adds_one_and_the_same_words_again_add_another(
    client_as, sales, lead
):
    client, url = client_as(sales), f"/leads/{lead.pk}/notes/"

    for key in ("0" * 32, "0" * 32, "1" * 32):
        client.post(url, filled_in("No answer", "call", form_key=key))

    assert Note.objects.count() == 2


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"text": ""}, "Write something first."),
        ({"text": " \r\n "}, "Write something first."),
        ({"text": "x" * 10_001}, "at most 10000 characters"),
        ({"text": "Ada\x00"}, "Null characters"),
        ({"kind": "party"}, "Choose a note or a call."),
        ({"kind": ""}, "This field is required."),
    ],
)
def test_bad_input_is_named_and_stays_in_the_form(
    client_as, sales, lead, fields, message
):
    page = (
        client_as(sales)
        .post(f"/leads/{lead.pk}/notes/", filled_in(**fields))
        .content.decode()
    )

    assert message in page
    assert fields.get("text", "Wants forty seats").strip() in page
    assert not Note.objects.exists()


def test_line_breaks_count_as_one_character_as_in_the_browser(client_as, sales, lead):
    client_as(sales).post(f"/leads/{lead.pk}/notes/", filled_in("x\r\n" * 4999 + "yy"))

    assert len(Note.objects.get().text) == 10_000


@pytest.mark.parametrize("about", ["lead", "deal"])
def test_text_about_a_person_who_has_been_erased_meanwhile_stays_in_the_form(
    client_as, sales, lead, about
):
    deal, client = make_deal(lead), client_as(sales)
    url = f"/{about}s/{(lead if about == 'lead' else deal).pk}/notes/"
    erase(lead)

    page = client.post(url, filled_in()).content.decode()

    assert "Nothing was saved: this person has since been erased." in page
    assert "Wants forty seats</textarea>" in page
    assert not Note.objects.exists()
    assert client.get(url).status_code == 404


def test_only_the_form_itself_replaces_what_has_been_typed(client_as, sales, lead):
    client, url = client_as(sales), f"/leads/{lead.pk}/"

    of_another, of_the_form = (
        client.get(
            url, headers={"HX-Request": "true", "HX-Target": target}
        ).content.decode()
        for target in ("lead", "new-note")
    )

    form = re.compile(r'id="new-note"[^>]*hx-preserve')
    assert form.search(of_another)
    assert not form.search(of_the_form)


def test_text_outlives_the_session(client_as, sales, lead, settings):
    client, url = client_as(sales), f"/leads/{lead.pk}/notes/"
    client.get("/leads/")
    settings.SESSION_IDLE_SECONDS = -1

    client.post(
        url, filled_in(), headers={"HX-Request": "true", "X-Keep-Typed": "true"}
    )
    settings.SESSION_IDLE_SECONDS = 3600
    assert "What you typed is kept" in client.get("/login/").content.decode()
    client.force_login(sales.user, backend="crm.accounts.adapter.EmailBackend")

    assert "Wants forty seats" in client.get(f"/leads/{lead.pk}/").content.decode()
    assert not Note.objects.exists()


def test_its_author_edits_and_deletes_a_note_and_it_says_so(client_as, sales, lead):
    note, client = make_note(sales, lead), client_as(sales)
    form = client.get(f"/notes/{note.pk}/edit/")

    client.post(
        f"/notes/{note.pk}/edit/",
        filled_in("Wants fifty", "call", version=form.context["version"]),
    )
    page = client.get(f"/leads/{lead.pk}/").content.decode()
    asked = client.get(f"/notes/{note.pk}/delete/").content.decode()
    client.post(f"/notes/{note.pk}/delete/")

    assert "Wants fifty" in page
    assert "· edited <time" in page
    assert "Delete this call?" in asked
    assert not Note.objects.exists()


def test_the_second_of_two_tabs_is_told_and_keeps_its_text(client_as, sales, lead):
    note, client = make_note(sales, lead), client_as(sales)
    url = f"/notes/{note.pk}/edit/"
    version = client.get(url).context["version"]
    client.post(url, filled_in("Wants fifty", version=version))

    refused = client.post(url, filled_in("Wants sixty", version=version))
    client.post(url, filled_in("Wants sixty", version=refused.context["version"]))

    assert refused.status_code == 409
    assert "Wants sixty</textarea>" in refused.content.decode()
    assert Note.objects.get().text == "Wants sixty"


def test_after_an_hour_nothing_is_saved_and_the_text_stays_in_the_form(
    client_as, sales, lead
):
    note, client = make_note(sales, lead), client_as(sales)
    Note.objects.update(created_at=timezone.now() - timedelta(minutes=61))

    opened = client.get(f"/notes/{note.pk}/edit/")
    page = client.post(
        f"/notes/{note.pk}/edit/", filled_in("Wants fifty")
    ).content.decode()
    client.post(f"/notes/{note.pk}/edit/")  # with nothing in it
    deleted = client.post(f"/notes/{note.pk}/delete/")

    assert opened.url == f"/leads/{lead.pk}/"
    assert "more than an hour has passed" in page
    assert "Wants fifty</textarea>" in page
    assert deleted.status_code == 403
    assert Note.objects.get().text == "Wants forty seats"


def test_an_admin_deletes_any_note_and_edits_none_but_their_own(
    client_as, sales, admin, lead
):
    note, client = make_note(sales, lead), client_as(admin)
    Note.objects.update(created_at=timezone.now() - timedelta(days=300))
    page = client.get(f"/leads/{lead.pk}/").content.decode()

    client.post(f"/notes/{note.pk}/edit/", filled_in("Wants fifty"))
    text = Note.objects.get().text
    client.post(f"/notes/{note.pk}/delete/")

    assert (f"/notes/{note.pk}/edit/" in page, f"/notes/{note.pk}/delete/" in page) == (
        False,
        True,
    )
    assert text == "Wants forty seats"
    assert not Note.objects.exists()


@pytest.mark.parametrize("model", [Lead, Deal])
def test_what_has_a_note_is_not_removed_by_an_undo(
    client_as, sales, company, lead, model
):
    client = client_as(sales)
    url = "/leads/new/" if model is Lead else f"/deals/new/?lead={lead.pk}"
    status, stage = lead.status_id, make_deal(lead).stage_id
    values = {
        "first_name": "Grace",
        "type": "inbound",
        "status": status,
        "title": "New",
        "currency": "EUR",
    }
    client.post(url, {**values, "stage": stage})
    added = model.objects.order_by("-pk")[0]
    make_note(sales, added)

    undone = undo(company=company, action=added.crm_events.latest("pk").action)

    assert (undone.removed, undone.changed_since) == ([], [added])
    assert Note.objects.count() == 1
    with pytest.raises(NothingToUndo):
        undo(company=company, action="0c5b6e7e-7c52-4a53-9f0e-3a5d0a1f9b1e")
