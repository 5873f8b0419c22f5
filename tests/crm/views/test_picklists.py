"""The lists of the company settings, as an admin changes them, and what others can choose then."""

import re
from typing import Any

import pytest
from django.db import DatabaseError, OperationalError
from django.db import connection as database
from django.db.models.deletion import Collector
from django.test import Client

from crm.models import (
    CrmEvent,
    Deal,
    Lead,
    LeadSource,
    LeadStatus,
    LeadType,
    LostReason,
    Membership,
    Stage,
    Tag,
)
from crm.services.picklists import archive_entry, change_entry
from crm.services.tags import put_tag
from tests.conftest import make_deal, make_lead
from tests.crm.api.calling import caller
from tests.crm.data_exchange.importing.uploading import upload
from tests.faults.threads import in_threads

pytestmark = pytest.mark.django_db
LISTS = "/company/lists/"


@pytest.fixture
def client(client_as: Any, admin: Membership) -> Client:
    found: Client = client_as(admin)
    return found


def names(company: Any) -> list[str]:
    return [each.name for each in LeadStatus.objects.for_company(company).offered()]


def status(company: Any, name: str) -> LeadStatus:
    return LeadStatus.objects.for_company(company).get(name=name)


def text_of(response: Any) -> str:
    return " ".join(response.content.decode().split())


def test_the_page_says_how_many_use_an_entry_and_what_linkedin_is_told(
    client: Client, company: Any, token: Any, make_rule: Any
) -> None:
    make_rule("lead_qualified")
    make_rule("deal_won", is_active=False)
    contacted = status(company, "Contacted")
    make_deal(make_lead(company, status=contacted))

    text = text_of(client.get(LISTS))

    assert f'<a href="/leads/?status={contacted.pk}">1 lead</a>' in text
    assert text.count("sent to LinkedIn") == 1
    assert "Qualified · sent to LinkedIn" in text


def test_the_number_of_queries_does_not_grow_with_the_lists(
    client: Client, company: Any, django_assert_num_queries: Any
) -> None:
    for number in range(5):
        Tag.objects.create(company=company, name=f"Tag {number}")
        LeadSource.objects.create(company=company, name=f"Source {number}")

    # session, user, memberships, the connection, rules; of each list its entries and their uses, of tags both kinds,
    # and the pipelines
    with django_assert_num_queries(5 + 2 * 6 + 2):
        client.get(LISTS)


@pytest.mark.parametrize(
    ("kind", "form", "model"),
    [
        (
            "statuses",
            {"name": "Nurture", "meaning": "working", "colour": "purple"},
            LeadStatus,
        ),
        (
            "stages",
            {"name": "Pilot", "meaning": "open", "chance": "40", "colour": ""},
            Stage,
        ),
        ("lost-reasons", {"name": "Timing"}, LostReason),
        ("types", {"name": "Event"}, LeadType),
        ("sources", {"name": "Webinar"}, LeadSource),
        ("tags", {"name": "VIP", "colour": "green"}, Tag),
    ],
)
def test_an_entry_is_added_changed_moved_archived_and_deleted(
    client: Client, company: Any, kind: str, form: dict[str, str], model: Any
) -> None:
    client.post(f"{LISTS}{kind}/new/", form)
    entry = model.objects.for_company(company).last()
    assert entry.name == form["name"]

    client.post(f"{LISTS}{kind}/{entry.pk}/", {**form, "name": "Renamed"})
    client.post(f"{LISTS}{kind}/{entry.pk}/move/", {"to": "0"})
    client.post(f"{LISTS}{kind}/{entry.pk}/archive/")

    entry.refresh_from_db()
    assert (entry.name, entry.position, entry.archived_at is None) == (
        "Renamed",
        1,
        False,
    )
    client.post(f"{LISTS}{kind}/{entry.pk}/archive/", {"archived": "0"})
    entry.refresh_from_db()
    assert entry.archived_at is None
    model.objects.filter(pk=entry.pk).update(archived_at="2026-01-01T00:00Z")
    client.post(f"{LISTS}{kind}/{entry.pk}/delete/")
    assert not model.objects.filter(pk=entry.pk).exists()


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({"name": "new", "meaning": "working"}, "There is already one called “New”."),
        (
            {"name": "gone", "meaning": "working"},
            "There is an archived one called “Gone”.",
        ),
        ({"name": "", "meaning": "working"}, "This field is required."),
        ({"name": "x" * 61, "meaning": "working"}, "at most 60 characters"),
        ({"name": "Nurture"}, "This field is required."),
        ({"name": "Nurture", "meaning": "splendid"}, "Select a valid choice."),
        (
            {"name": "Nurture", "meaning": "working", "colour": "pink"},
            "Select a valid choice.",
        ),
    ],
)
def test_an_entry_that_makes_no_sense_is_refused(
    client: Client, company: Any, form: Any, message: str
) -> None:
    LeadStatus.objects.create(
        company=company, name="Gone", meaning="working", archived_at="2026-01-01T00:00Z"
    )
    before = LeadStatus.objects.count()

    response = client.post(f"{LISTS}statuses/new/", form)

    assert message in text_of(response)
    assert LeadStatus.objects.count() == before


def test_the_meaning_of_an_entry_is_shown_and_not_changed(
    client: Client, company: Any
) -> None:
    contacted = status(company, "Contacted")

    asked = text_of(client.get(f"{LISTS}statuses/{contacted.pk}/"))
    client.post(
        f"{LISTS}statuses/{contacted.pk}/",
        {"name": "Called", "meaning": "qualified", "colour": ""},
    )

    contacted.refresh_from_db()
    assert "It can&#x27;t be changed. Add another one for another meaning." in asked
    assert (contacted.name, contacted.meaning) == ("Called", "working")


def test_other_companies_entries_and_unknown_lists_are_not_found(
    client: Client, company: Any, other_company: Any
) -> None:
    foreign = status(other_company, "Contacted")
    own = status(company, "Contacted")
    make_lead(company, status=own)

    for path in ("", "move/", "archive/", "delete/"):
        assert (
            client.post(
                f"{LISTS}statuses/{foreign.pk}/{path}", {"name": "x", "step": "up"}
            ).status_code
            == 404
        )
    assert (
        client.post(
            f"{LISTS}statuses/{own.pk}/delete/", {"move_to": foreign.pk}
        ).status_code
        == 404
    )
    assert (
        client.post(f"{LISTS}statuses/{own.pk}/move/", {"to": "-1"}).status_code == 404
    )
    assert (
        client.post(f"{LISTS}statuses/{own.pk}/move/", {"to": "9" * 9}).status_code
        == 404
    )
    assert client.get(f"{LISTS}nonsense/new/").status_code == 404
    foreign.refresh_from_db()
    assert (foreign.name, foreign.archived_at) == ("Contacted", None)


def test_buttons_move_an_entry_one_place(client: Client, company: Any) -> None:
    client.post(
        f"{LISTS}statuses/{status(company, 'Qualified').pk}/move/", {"step": "up"}
    )
    client.post(f"{LISTS}statuses/{status(company, 'New').pk}/move/", {"step": "down"})

    assert names(company) == ["Qualified", "New", "Contacted", "Unqualified"]


def test_deleting_asks_in_one_step_where_to_move_its_leads(
    client: Client, company: Any
) -> None:
    nurture = LeadStatus.objects.create(
        company=company, name="Nurture", meaning="working", position=9
    )
    contacted = status(company, "Contacted")
    for number in range(3):
        make_lead(company, status=nurture, email=f"{number}@example.com")

    asked = text_of(client.get(f"{LISTS}statuses/{nurture.pk}/delete/"))
    done = client.post(
        f"{LISTS}statuses/{nurture.pk}/delete/", {"move_to": contacted.pk}, follow=True
    )

    assert "Move its 3 leads to" in asked
    assert f'<option value="{contacted.pk}">Contacted</option>' in asked
    assert "Qualified</option>" not in asked
    assert "Nurture was deleted. 3 moved to Contacted." in text_of(done)
    assert Lead.objects.filter(status=contacted).count() == 3


def test_without_another_of_its_meaning_a_used_entry_can_only_be_archived(
    client: Client, company: Any
) -> None:
    qualified = status(company, "Qualified")
    make_lead(company, status=qualified)

    asked = text_of(client.get(f"{LISTS}statuses/{qualified.pk}/delete/"))
    client.post(f"{LISTS}statuses/{qualified.pk}/delete/")

    assert (
        "1 lead has it, and there is no other status that means “Qualified” to move them to."
        in asked
    )
    assert LeadStatus.objects.filter(pk=qualified.pk).exists()


@pytest.mark.parametrize(
    ("leads", "deals", "says"),
    [
        (2, 1, "2 leads and 1 deal have it."),
        (1, 0, "1 lead has it."),
        (0, 1, "1 deal has it."),
    ],
)
def test_before_a_tag_is_deleted_the_page_says_what_has_it(
    client: Client, company: Any, leads: int, deals: int, says: str
) -> None:
    tag = Tag.objects.create(company=company, name="Fair")
    about = [make_lead(company, email=f"{number}@example.com") for number in range(2)]
    put_tag(
        rows=Lead.objects.filter(pk__in=[lead.pk for lead in about[:leads]]), tag=tag
    )
    put_tag(
        rows=Deal.objects.filter(pk__in=[make_deal(about[0]).pk for _ in range(deals)]),
        tag=tag,
    )

    asked = text_of(client.get(f"{LISTS}tags/{tag.pk}/delete/"))

    assert f"{says} It is taken off them." in asked


def test_the_last_status_for_new_leads_can_t_go_and_the_page_says_why(
    client: Client, company: Any
) -> None:
    new = status(company, "New")

    refused = client.post(f"{LISTS}statuses/{new.pk}/archive/", follow=True)

    assert "New was not archived. This is the only one that means “New”" in text_of(
        refused
    )
    new.refresh_from_db()
    assert new.archived_at is None


@pytest.mark.parametrize("removed", ["Warm", "Qualified"])
def test_an_undo_finds_both_statuses_of_its_change(
    client: Client, company: Any, token: Any, make_rule: Any, removed: str
) -> None:
    make_rule("lead_qualified")
    warm = LeadStatus.objects.create(company=company, name="Warm", meaning="working")
    LeadStatus.objects.create(company=company, name="Very good", meaning="qualified")
    lead = make_lead(company, status=warm)
    client.post(
        f"/leads/{lead.pk}/status/", {"status": status(company, "Qualified").pk}
    )
    event = CrmEvent.objects.get(kind="lead_qualified")
    door = f"{LISTS}statuses/{status(company, removed).pk}/delete/"

    assert "Someone has just moved a lead into or out of it" in text_of(
        client.get(door)
    )
    refused = client.post(
        door, {"move_to": status(company, "Very good").pk}, follow=True
    )
    client.post(f"/undo/{event.action}/")

    assert f"{removed} was not deleted. Someone has just moved a lead" in text_of(
        refused
    )
    lead.refresh_from_db()
    event.refresh_from_db()
    assert (lead.status, event.taken_back_at is None) == (warm, False)


# A status or stage that is archived while someone picks it: nothing changes, and a sentence says so.


@pytest.fixture
def contacted(company: Any) -> LeadStatus:
    found = status(company, "Contacted")
    archive_entry(entry=found)
    return found


def test_a_form_refuses_an_archived_status_and_keeps_one_that_the_lead_has(
    client: Client, company: Any, contacted: LeadStatus
) -> None:
    lead = make_lead(company, status=contacted)
    form = {"first_name": "Ada", "type": "inbound", "status": contacted.pk}

    refused = client.post("/leads/new/", form)
    saved = client.post(f"/leads/{lead.pk}/edit/", {**form, "title": "Buyer"})

    assert "Choose one of your company&#x27;s statuses." in refused.content.decode()
    assert saved.status_code == 302
    lead.refresh_from_db()
    assert (lead.title, lead.status, Lead.objects.count()) == ("Buyer", contacted, 1)


@pytest.mark.parametrize("path", ["/leads/{}/status/", "/leads/status/"])
def test_quick_select_and_bulk_refuse_an_archived_status(
    client: Client, company: Any, contacted: LeadStatus, path: str
) -> None:
    lead = make_lead(company)

    page = client.post(
        path.format(lead.pk), {"status": contacted.pk, "lead": lead.pk}, follow=True
    )

    lead.refresh_from_db()
    assert (
        "Nothing was changed: Contacted was archived. Choose another lead status."
        in text_of(page)
    )
    assert lead.status.name == "New"


def test_the_board_refuses_an_archived_stage(client: Client, company: Any) -> None:
    deal = make_deal(make_lead(company))
    proposal = Stage.objects.for_company(company).get(name="Proposal")
    archive_entry(entry=proposal)

    page = client.post(f"/deals/{deal.pk}/move/", {"stage": proposal.pk}, follow=True)

    deal.refresh_from_db()
    assert "Nothing was changed: Proposal was archived." in text_of(page)
    assert deal.stage.name == "Discovery"
    assert CrmEvent.objects.filter(kind="deal_won").count() == 0


def test_an_archived_stage_is_on_the_board_while_it_has_deals(
    client: Client, company: Any
) -> None:
    proposal = Stage.objects.for_company(company).get(name="Proposal")
    archive_entry(entry=proposal)
    assert 'aria-label="Proposal"' not in client.get("/deals/").content.decode()

    make_deal(make_lead(company), stage=proposal)

    text = client.get("/deals/").content.decode()
    assert 'aria-label="Proposal"' in text
    assert f'data-stage="{proposal.pk}"' not in text


def test_a_lead_shows_the_archived_status_that_it_has(
    client: Client, company: Any, contacted: LeadStatus
) -> None:
    lead, other = make_lead(company, status=contacted), make_lead(company)

    option = f'<option value="{contacted.pk}" selected>Contacted</option>'
    assert option in client.get(f"/leads/{lead.pk}/").content.decode()
    assert (
        f'value="{contacted.pk}"'
        not in client.get(f"/leads/{other.pk}/").content.decode()
    )


def test_the_api_refuses_an_archived_status_and_keeps_one_that_the_lead_has(
    company: Any, contacted: LeadStatus
) -> None:
    lead = make_lead(company, status=contacted)
    api = caller(company)

    refused = api.post("/api/v1/leads/", {"first_name": "Ada", "status": contacted.pk})
    saved = api.patch(
        f"/api/v1/leads/{lead.pk}/", {"title": "Buyer", "status": contacted.pk}
    )

    assert (refused.status_code, refused.json()) == (
        400,
        {"status": ["Choose one of your company's statuses."]},
    )
    assert saved.status_code == 200


def test_an_import_refuses_an_archived_status(
    admin: Membership, contacted: LeadStatus
) -> None:
    checked = upload(admin, "First name,Status\nAda,Contacted\nGrace,New\n")

    assert checked.planned == {
        "new": 2,
        "lead_created:later": 2,
        "cell:1:status_unknown": 1,
    }


# Types and sources


def test_a_type_is_chosen_shown_and_known_to_scripts_by_its_code(
    client: Client, company: Any
) -> None:
    partner = LeadType.objects.for_company(company).get(code="partner")
    client.post(f"{LISTS}types/{partner.pk}/", {"name": "Reseller"})
    client.post(
        "/leads/new/",
        {"first_name": "Ada", "type": "partner", "status": status(company, "New").pk},
    )
    lead = Lead.objects.get()

    assert lead.type == "partner"
    assert "Reseller" in client.get(f"/leads/{lead.pk}/").content.decode()
    assert lead.name in client.get("/leads/?type=partner").content.decode()
    assert caller(company).get(f"/api/v1/leads/{lead.pk}/").json()["type"] == "partner"


def test_an_archived_or_unknown_type_is_refused_everywhere(
    client: Client, company: Any, admin: Membership
) -> None:
    archive_entry(entry=LeadType.objects.for_company(company).get(code="partner"))
    form = {"first_name": "Ada", "status": status(company, "New").pk}

    page = client.post("/leads/new/", {**form, "type": "partner"})
    api = caller(company).post(
        "/api/v1/leads/", {"first_name": "Ada", "type": "partner"}
    )
    checked = upload(admin, "First name,Type\nAda,partner\nGrace,Referral\n")

    assert "Choose one of your company&#x27;s types." in page.content.decode()
    assert api.json() == {"type": ["Choose one of: inbound, outbound, referral."]}
    assert checked.planned["cell:1:type_unknown"] == 1
    assert not Lead.objects.exists()


def test_sources_are_suggested_and_others_can_still_be_typed(
    client: Client, company: Any
) -> None:
    LeadSource.objects.create(company=company, name="Trade fair")
    archive_entry(entry=LeadSource.objects.create(company=company, name="Yellow pages"))

    text = client.get("/leads/new/").content.decode()
    form = {
        "first_name": "Ada",
        "type": "inbound",
        "status": status(company, "New").pk,
        "source": "A friend",
    }
    client.post("/leads/new/", form)

    assert '<option value="Trade fair">' in text
    assert "Yellow pages" not in text
    assert Lead.objects.get().source == "A friend"


@pytest.mark.parametrize("how", ["renamed", "deleted"])
def test_an_open_form_does_not_write_back_a_source_that_was_renamed_or_moved(
    client: Client, company: Any, how: str
) -> None:
    fair = LeadSource.objects.create(company=company, name="Fair")
    lead = make_lead(company, source="Fair")
    version = re.search(
        r'name="version" value="([^"]+)"',
        client.get(f"/leads/{lead.pk}/edit/").content.decode(),
    )
    assert version
    if how == "renamed":
        client.post(f"{LISTS}sources/{fair.pk}/", {"name": "Trade fair"})
    else:
        target = LeadSource.objects.create(company=company, name="Trade fair")
        client.post(f"{LISTS}sources/{fair.pk}/delete/", {"move_to": target.pk})

    form = {
        "first_name": "Ada",
        "type": "inbound",
        "status": lead.status_id,
        "source": "Fair",
        "title": "Buyer",
    }
    refused = client.post(f"/leads/{lead.pk}/edit/", {**form, "version": version[1]})

    assert (refused.status_code, "Nothing was saved" in refused.content.decode()) == (
        409,
        True,
    )
    lead.refresh_from_db()
    assert (lead.source, lead.title) == ("Trade fair", "")
    again = re.search(r'name="version" value="([^"]+)"', refused.content.decode())
    assert again
    assert (
        client.post(
            f"/leads/{lead.pk}/edit/", {**form, "version": again[1]}
        ).status_code
        == 302
    )


# Two at once


@pytest.mark.django_db(transaction=True)
def test_two_admins_add_a_status_of_one_name(
    client_as: Any, admin: Membership, company: Any
) -> None:
    clients = [client_as(admin) for _ in range(2)]
    form = {"name": "Called", "meaning": "working"}

    answers: list[Any] = []
    in_threads(
        2, lambda at: answers.append(clients[at].post(f"{LISTS}statuses/new/", form))
    )

    assert sorted(answer.status_code for answer in answers) == [200, 302]
    assert names(company).count("Called") == 1


@pytest.mark.django_db(transaction=True)
def test_two_admins_can_t_archive_the_last_two_of_a_meaning(
    client_as: Any, admin: Membership, company: Any
) -> None:
    both = [
        status(company, "New"),
        LeadStatus.objects.create(company=company, name="Fresh", meaning="new"),
    ]
    clients = [client_as(admin) for _ in both]

    in_threads(
        2, lambda at: clients[at].post(f"{LISTS}statuses/{both[at].pk}/archive/")
    )

    assert (
        LeadStatus.objects.for_company(company).offered().filter(meaning="new").count()
        == 1
    )


@pytest.fixture
def deleted_meanwhile(company: Any, monkeypatch: pytest.MonkeyPatch) -> LeadStatus:
    """A status that someone else deletes after it was checked, and before the lead is written."""
    contacted, save = status(company, "Contacted"), Lead.save

    def someone_else_first(lead: Lead, *args: Any, **kwargs: Any) -> None:
        monkeypatch.setattr(Lead, "save", save)
        in_threads(1, lambda _: contacted.delete())
        save(lead, *args, **kwargs)

    found = status(company, "Contacted")
    monkeypatch.setattr(Lead, "save", someone_else_first)
    return found


@pytest.mark.django_db(transaction=True)
def test_a_status_that_is_deleted_while_a_lead_gets_it_is_refused(
    client_as: Any, admin: Membership, deleted_meanwhile: LeadStatus
) -> None:
    form = {"first_name": "Ada", "type": "inbound", "status": deleted_meanwhile.pk}

    page = client_as(admin).post("/leads/new/", form)

    assert "Choose one of your company&#x27;s statuses." in page.content.decode()
    assert not Lead.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_script_that_gives_a_lead_a_status_that_is_being_deleted_is_told_so(
    company: Any, deleted_meanwhile: LeadStatus
) -> None:
    answer = caller(company).post(
        "/api/v1/leads/", {"first_name": "Ada", "status": deleted_meanwhile.pk}
    )

    assert answer.status_code == 409
    assert "has just been deleted" in answer.json()["detail"]
    assert not Lead.objects.exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", ["statuses", "tags"])
def test_nobody_can_give_a_lead_what_is_being_deleted(
    client: Client, company: Any, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    lead, contacted = make_lead(company), status(company, "Contacted")
    tag = Tag.objects.create(company=company, name="VIP")
    entry: Any = contacted if kind == "statuses" else tag
    delete, outcomes = Collector.delete, []

    def give(_: int) -> None:
        with database.cursor() as cursor:
            cursor.execute("SET lock_timeout = '100ms'")
        try:
            put_tag(
                rows=Lead.objects.all(), tag=tag
            ) if kind == "tags" else Lead.objects.update(status=contacted)
        except DatabaseError as error:
            outcomes.append(type(error))

    def someone_gives_it(collector: Any) -> Any:
        if entry in collector.data[type(entry)]:
            in_threads(1, give)
        return delete(collector)

    monkeypatch.setattr(Collector, "delete", someone_gives_it)
    answer = client.post(f"{LISTS}{kind}/{entry.pk}/delete/", follow=True)

    assert f"{entry} was deleted." in text_of(answer)
    assert outcomes == [OperationalError]
    lead.refresh_from_db()
    assert (lead.status.name, lead.tags.count()) == ("New", 0)


def test_the_form_of_a_tag_says_that_it_is_not_for_names_of_people(
    client: Client,
) -> None:
    said = "The name of a person does not belong here"

    assert said in client.get("/company/lists/tags/new/").content.decode()
    assert said not in client.get("/company/lists/statuses/new/").content.decode()


def test_a_form_writes_what_was_changed_in_it_and_not_what_someone_else_has_changed(
    client: Client, company: Any
) -> None:
    hot = LeadStatus.objects.create(
        company=company, name="Hot", meaning="working", position=8
    )
    page = f"{LISTS}statuses/{hot.pk}/"
    opened = {"name": "Hot", "colour": ""}
    opened |= {f"initial-{name}": value for name, value in opened.items()}
    shown = client.get(page).content.decode()
    hot.name = "Sales ready"
    change_entry(entry=hot, fields=["name"])

    client.post(page, {**opened, "colour": "red"})
    hot.refresh_from_db()
    after_another_colour = (hot.name, hot.colour)
    refused = client.post(
        page, {**opened, "initial-colour": "red", "colour": "red", "name": "Warm"}
    )
    hot.refresh_from_db()

    assert '<input type="hidden" name="initial-name" value="Hot"' in shown
    assert after_another_colour == ("Sales ready", "red")
    assert "Nothing was saved: this was changed after you opened it." in text_of(
        refused
    )
    assert text_of(refused).count("Nothing was saved") == 1
    assert (
        '<input type="hidden" name="initial-name" value="Sales ready"'
        in refused.content.decode()
    )
    assert hot.name == "Sales ready"
