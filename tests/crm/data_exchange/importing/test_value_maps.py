"""What becomes of each value of a column that has a list here: guessed, chosen, added, left empty or left out."""

from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import transaction
from django.test import Client

from capi.models import ConversionEvent
from crm.data_exchange.importing.column_readings import readings_of
from crm.data_exchange.importing.value_choices import value_key
from crm.models import (
    AuditEntry,
    CustomField,
    Lead,
    LeadImport,
    LeadImportRow,
    LeadStatus,
    LeadType,
    Membership,
    SavedView,
    Tag,
)
from crm.selectors.lead_imports import conversions
from crm.services import lead_imports
from tests.conftest import make_lead
from tests.crm.custom_values import make_field
from tests.crm.data_exchange.importing.choosing import choose, choose_all, shown
from tests.crm.data_exchange.importing.uploading import run, upload, work_on
from tests.size import sized

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def web(client_as: Callable[[Membership], Client], admin: Membership) -> Client:
    return client_as(admin)


def statuses(*cells: str, name: str = "Lead") -> str:
    lines = [f"{name} {n}\t{cell}" for n, cell in enumerate(cells)]
    return "\n".join(["First name\tStatus", *lines])


def status(company: Any, name: str) -> LeadStatus:
    return LeadStatus.objects.for_company(company).get(name=name)


def stored() -> list[str]:
    return [lead.status.name for lead in Lead.objects.order_by("pk")]


def refused(lead_import: LeadImport, member: Membership, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        lead_imports.start(
            lead_import=lead_import,
            owner=None,
            tells_platforms=False,
            actor=member.user,
        )
    lead_import.refresh_from_db()
    assert (lead_import.state, lead_import.created) == ("paused", {})


def test_the_page_shows_each_value_with_a_guess_the_most_frequent_first(
    admin: Membership, web: Client
) -> None:
    checked = upload(
        admin, statuses("hot", "Hot", "Hot", "NEW", "new", "Quali-fied", "")
    )

    assert shown(web, checked) == [
        ("Hot", "Leave empty", "3 cells"),
        ("NEW", "New", "same"),
        ("Quali-fied", "Qualified", "guessed"),
    ]


def test_accents_and_punctuation_make_no_difference_unless_two_entries_are_alike(
    admin: Membership, web: Client
) -> None:
    for name in ("Café", "C", "C++", "Zürich"):
        Tag.objects.create(company=admin.company, name=name)

    checked = upload(admin, "First name\tTags\nAda\tCAFE!; C+; c; Zurich\n")

    assert {text: (here, mark) for text, here, mark in shown(web, checked)} == {
        "CAFE!": ("Café", "guessed"),
        "C+": ("Create “C+”", "new"),
        "c": ("C", "same"),
        "Zurich": ("Zürich", "guessed"),
    }


def test_colleagues_are_found_by_their_last_name_first_and_are_never_added(
    admin: Membership, web: Client
) -> None:
    user = admin.user
    checked = upload(
        admin,
        f"First name\tOwner\nAda\t{user.last_name}, {user.first_name}\nIda\tStranger\n",
    )

    assert shown(web, checked) == [
        (f"{user.last_name}, {user.first_name}", str(user), "same"),
        ("Stranger", "Leave empty", "1 cell"),
    ]
    assert (
        "Create “Stranger”" not in web.get(checked.get_absolute_url()).content.decode()
    )


def test_a_choice_is_stored_shown_and_survives_another_check(
    admin: Membership, web: Client
) -> None:
    qualified = status(admin.company, "Qualified")
    checked = upload(admin, statuses("Heiß", "Heiß", "TEST", "New", "kalt"))

    choose(web, checked, 1, Heiß=f"entry:{qualified.pk}", TEST="row", New="empty")
    again = choose(web, checked, 1)

    assert shown(web, again) == [
        ("Heiß", "Qualified", "chosen"),
        ("New", "Leave empty", "1 cell"),
        ("TEST", "Leave out the row", "1 row"),
        ("kalt", "Leave empty", "1 cell"),
    ]
    assert (again.planned["new"], again.planned["bad:row_left_out"]) == (4, 1)
    run(again, admin)
    assert stored() == ["Qualified", "Qualified", "New", "New"]
    assert again.planned["cell:1:left_empty"] == again.planned["cell:1:status_unknown"]


def test_what_is_left_empty_by_choice_does_not_cost_the_row_of_a_column_that_is_needed(
    admin: Membership, web: Client
) -> None:
    checked = upload(admin, statuses("Heiß", "kalt", "New"))

    again, _ = choose_all(web, checked, {1: {"kalt": "row"}}, otherwise_1="row")
    assert again.planned["bad"] == 2
    again, _ = choose_all(web, checked, {1: {"kalt": "empty"}}, otherwise_1="row")

    assert (again.planned["new"], again.planned["bad"]) == (2, 1)


def test_a_new_status_has_the_meaning_that_was_asked_and_sends_what_that_sends(
    admin: Membership, web: Client, token: Any, make_rule: Any
) -> None:
    make_rule("lead_qualified")
    checked = upload(
        admin,
        "First name\tE-mail\tStatus\nAda\ta@example.com\tHeiß\nIda\ti@example.com\tHeiß\n",
    )
    assert conversions(checked).count == 0

    again = choose(web, checked, 2, Heiß="create:qualified")

    assert conversions(again).count == 2
    assert "1 status" in web.get(again.get_absolute_url()).content.decode()
    assert not LeadStatus.objects.filter(name="Heiß").exists()
    run(again, admin, tells_platforms=True)
    assert status(admin.company, "Heiß").meaning == "qualified"
    assert stored() == ["Heiß", "Heiß"]
    assert ConversionEvent.objects.count() == 2
    assert AuditEntry.objects.filter(action="steps_changed").count() == 1


def test_a_status_is_not_added_without_its_meaning(
    admin: Membership, web: Client
) -> None:
    checked = upload(admin, statuses("Heiß"))

    again, page = choose_all(web, checked, {1: {"Heiß": "create"}})

    assert "no longer in your company" in page
    assert readings_of(again)[1].values == {}


def test_types_tags_and_choices_are_added_used_and_taken_back(
    admin: Membership, web: Client
) -> None:
    make_field(admin.company, "Region", "choice")
    make_field(admin.company, "Areas", "choices")
    before = CustomField.objects.get(key="areas").choices
    text = "First name\tType\tRegion\tAreas\tTags\nAda\tBroker\tMars\tEMEA; Moon, Asia, and Pacific\tVIP\n"
    types = LeadType.objects.for_company(admin.company).count()
    checked = upload(admin, text)

    create = "create"
    again, _ = choose_all(
        web, checked, {1: {"Broker": create}, 2: {"Mars": create}, 3: {"Moon": create}}
    )
    done = run(again, admin)

    lead = Lead.objects.get()
    assert (lead.type, lead.custom["region"]) == ("broker", "mars")
    assert lead.custom["areas"][0] == "emea"
    assert lead.custom["areas"][-1] == "moon"
    assert [tag.name for tag in lead.tags.all()] == ["VIP"]
    assert done.done == {"new": 1, "lead_created:later": 1} | {
        key: count for key, count in done.planned.items() if key.startswith("cell:")
    }
    lead_imports.undo(lead_import=done, actor=admin.user)
    work_on(done)
    assert not Lead.objects.exists()
    assert LeadType.objects.for_company(admin.company).count() == types
    assert CustomField.objects.get(key="areas").choices == before
    assert not Tag.objects.exists()


def test_an_undo_keeps_what_something_else_uses(admin: Membership, web: Client) -> None:
    make_field(admin.company, "Region", "choice")
    text = "First name\tStatus\tType\tRegion\nAda\tHeiß\tBroker\tMars\nIda\tkalt\tAgent\tMoon\n"
    made = {
        1: {"Heiß": "create:new", "kalt": "create:working"},
        2: {"Broker": "create", "Agent": "create"},
        3: {"Mars": "create", "Moon": "create"},
    }
    again, _ = choose_all(web, upload(admin, text), made)
    done = run(again, admin)
    make_lead(
        admin.company,
        status=status(admin.company, "Heiß"),
        type="broker",
        custom={"region": "mars"},
    )
    cold = status(admin.company, "kalt")
    SavedView.objects.create(
        company=admin.company,
        owner=admin.user,
        name="Moon",
        query=f"status={cold.pk}&custom_region=moon",
    )

    lead_imports.undo(lead_import=done, actor=admin.user)
    work_on(done)

    assert LeadStatus.objects.filter(name__in=["Heiß", "kalt"]).count() == 2
    assert set(
        LeadType.objects.filter(code__in=["broker", "agent"]).values_list(
            "code", flat=True
        )
    ) == {"broker"}
    assert {"mars", "moon"} <= set(CustomField.objects.get().labels)


def test_a_choice_is_remembered_for_the_next_file_with_the_same_columns(
    admin: Membership, sales: Membership, web: Client
) -> None:
    again = choose(
        web,
        upload(admin, statuses("Heiß", "TEST")),
        1,
        Heiß="create:working",
        TEST="row",
    )
    run(again, admin)

    checked = upload(sales, statuses("HEISS", "TEST", "other", name="Other"))

    assert shown(web, checked) == [
        ("HEISS", "Heiß", "chosen"),
        ("TEST", "Leave out the row", "1 row"),
        ("other", "Leave empty", "1 cell"),
    ]
    run(checked, sales)
    assert stored() == ["Heiß", "Heiß", "New"]


def test_what_is_remembered_of_an_entry_that_is_gone_is_forgotten(
    admin: Membership, web: Client
) -> None:
    done = run(
        choose(web, upload(admin, statuses("Heiß")), 1, Heiß="create:working"), admin
    )
    lead_imports.undo(lead_import=done, actor=admin.user)
    work_on(done)
    assert not LeadStatus.objects.filter(name="Heiß").exists()

    checked = upload(admin, statuses("Heiß"))

    assert shown(web, checked) == [("Heiß", "Leave empty", "1 cell")]


@pytest.mark.parametrize("change", ["renamed", "archived", "deleted", "added"])
def test_a_list_that_has_changed_since_the_check_starts_nothing(
    admin: Membership, change: str
) -> None:
    hot = LeadStatus.objects.create(
        company=admin.company, name="Hot", meaning="qualified"
    )
    checked = upload(admin, statuses("Hot", "Cold"))

    if change == "renamed":
        LeadStatus.objects.filter(pk=hot.pk).update(name="Cold")
    elif change == "archived":
        LeadStatus.objects.filter(pk=hot.pk).update(archived_at=checked.created_at)
    elif change == "deleted":
        hot.delete()
    else:
        LeadStatus.objects.create(
            company=admin.company, name="Cold", meaning="qualified"
        )

    refused(checked, admin, "statuses have changed since the check")
    assert not Lead.objects.exists()
    run(lead_imports.map_columns(lead_import=checked, columns=checked.columns), admin)


def test_an_entry_that_is_renamed_while_its_rows_are_imported_is_still_theirs(
    admin: Membership, web: Client
) -> None:
    again = choose(web, upload(admin, statuses("Heiß")), 1, Heiß="create:working")
    lead_imports.start(
        lead_import=again, owner=None, tells_platforms=False, actor=admin.user
    )
    LeadStatus.objects.filter(name="Heiß").update(name="Warm")

    work_on(again)

    assert stored() == ["Warm"]


def test_two_imports_that_add_the_same_status_add_it_once(
    admin: Membership, web: Client
) -> None:
    first, second = (
        upload(admin, statuses("Heiß")),
        upload(admin, statuses("heiß", name="Other")),
    )
    choose(web, first, 1, Heiß="create:working")
    choose(web, second, 1, heiß="create:qualified")
    run(first, admin)

    refused(second, admin, "statuses have changed")
    again = choose(web, second, 1)
    run(again, admin)

    assert stored() == ["Heiß", "Heiß"]
    assert LeadStatus.objects.get(name="Heiß").meaning == "working"


def test_someone_who_may_not_change_the_lists_can_neither_choose_nor_start_what_adds_to_them(
    admin: Membership, sales: Membership, web: Client, client_as: Any
) -> None:
    checked = upload(sales, statuses("Heiß"))
    own: Client = client_as(sales)
    assert "Create “" not in own.get(checked.get_absolute_url()).content.decode()
    again, _ = choose_all(own, checked, {1: {"Heiß": "create:working"}})
    assert readings_of(again)[1].values == {}

    again = choose(web, checked, 1, Heiß="create:working")

    refused(again, sales, "adds statuses, which only an admin may do")
    assert not LeadStatus.objects.filter(name="Heiß").exists()
    # What someone else has chosen stays if they check again.
    again = choose(own, checked, 1)
    assert shown(own, again) == [("Heiß", "Create “Heiß”, meaning Working", "new")]


def test_two_people_at_once_overwrite_nothing_unseen(
    admin: Membership, web: Client
) -> None:
    checked = upload(admin, statuses("Heiß"))
    page = web.get(checked.get_absolute_url()).content.decode()
    seen = page.partition('name="seen" value="')[2].partition('"')[0]
    choose_all(web, checked, {1: {"Heiß": "row"}}, seen=seen)

    again, page = choose_all(web, checked, {1: {"Heiß": "create:working"}}, seen=seen)
    assert "Someone has changed the columns or values" in page
    assert readings_of(again)[1].values["heiss"].action == "row"
    again, page = choose_all(web, checked, {1: {"Heiß": "row"}}, seen=seen)

    assert "Someone has changed" not in page  # the second of two clicks


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("VIP", " vip ", True),
        ("VIP", "V\u200bIP", True),
        ("Cafe\u0301", "Caf\u00e9", True),
        ("Cafe", "Caf\u00e9", False),
        ("C", "C++", False),
        ("x" * 20_000, "X" * 20_000, True),
        ("x" * 20_000, "x" * 19_999, False),
        ("", "\u200b\u2060", True),
    ],
)
def test_which_values_are_the_same(one: str, other: str, is_same: bool) -> None:
    assert (value_key(one) == value_key(other)) is is_same
    assert len(value_key(one)) < 150


def test_values_that_differ_by_case_or_accents_add_one_entry(admin: Membership) -> None:
    run(
        upload(admin, "First name\tTags\nAda\tCafé\nIda\tcafé\nEda\tCafe\nUda\tCafé\n"),
        admin,
    )

    assert [tag.name for tag in Tag.objects.all()] == ["Café"]
    assert Tag.objects.get().leads.count() == 4


def test_a_value_that_can_t_be_seen_is_none_and_one_that_is_too_long_is_left_empty(
    admin: Membership, web: Client
) -> None:
    make_field(admin.company, "Region", "choice")
    long = "x" * 90
    checked = upload(
        admin,
        f"First name\tTags\tStatus\tRegion\nAda\t\u200b; VIP\t\u2060\t{long}\nIda\t{long}\t\t\n",
    )

    assert {text[:4] for text, _, _ in shown(web, checked)} == {"VIP", "xxxx"}
    assert "Create “xxx" not in web.get(checked.get_absolute_url()).content.decode()
    assert {key for key in checked.planned if key.startswith("cell:")} == {
        "cell:1:tag_unknown",
        "cell:3:not_a_choice",
    }
    run(checked, admin)
    assert [tag.name for tag in Tag.objects.all()] == ["VIP"]


@pytest.mark.sized
def test_100_000_values_are_shown_in_part_and_refused_in_a_sentence(
    admin: Membership, web: Client
) -> None:
    count = sized(100_000, small=3_000)
    rows = "\n".join(f"Lead {n}\tTag {n}" for n in range(count))
    checked = work_on(upload(admin, f"First name\tTags\n{rows}\n"))

    assert len(shown(web, checked)) == 200
    page = web.get(checked.get_absolute_url()).content.decode()
    assert len(page) < 500_000
    assert "at least 1,000 tags" in " ".join(page.split())
    refused(checked, admin, "adds at least 1,000 tags, and the list has room for 200")
    again, _ = choose_all(web, checked, {}, otherwise_1="empty")
    run(work_on(again), admin)
    assert (Lead.objects.count(), Tag.objects.count()) == (count, 0)


def test_a_cell_with_more_values_than_any_lead_has_is_left_out_and_listed(
    admin: Membership, web: Client
) -> None:
    cells = ["; ".join(f"Tag {n}" for n in range(count)) for count in (200, 201)]
    checked = upload(admin, f"First name\tTags\nAda\t{cells[0]}\nIda\t{cells[1]}\n")

    assert checked.planned["cell:1:too_long"] == 1
    assert len(shown(web, checked)) == 200
    run(checked, admin)
    assert [lead.tags.count() for lead in Lead.objects.order_by("pk")] == [200, 0]


def test_choices_whose_names_have_separators_are_found_among_others(
    admin: Membership,
) -> None:
    make_field(admin.company, "Regions", "choices")

    run(upload(admin, 'First name,Regions\nAda,"Asia, and Pacific, EMEA"\n'), admin)

    assert Lead.objects.get().custom["regions"] == ["emea", "asia_and_pacific"]


def test_an_entry_for_a_rare_value_is_added_however_many_cells_there_are(
    admin: Membership,
) -> None:
    """Its row comes after more different cells than the page reads."""
    rows = [f"Lead {n}\tVIP;{' ' * n}Fair" for n in range(3_000)]
    text = "\n".join(["First name\tTags", *rows, "Ada\tzz"])

    run(work_on(upload(admin, f"{text}\n")), admin)

    tags = set(Tag.objects.values_list("name", flat=True))
    assert tags == {"VIP", "Fair", "zz"}


def test_an_erasure_forgets_what_was_chosen_for_a_value_that_names_the_person(
    admin: Membership, web: Client
) -> None:
    lead = make_lead(admin.company, first_name="Grace", last_name="Hopper")
    checked = upload(admin, "First name\tTags\nAda\tHopper fans\n")
    choose(web, checked, 1, **{"Hopper fans": "row"})

    with transaction.atomic():
        lead_imports.forget_person(lead)

    checked.refresh_from_db()
    assert readings_of(checked)[1].values == {}


MESSY = 300


def messy() -> str:
    """300 rows with statuses in three spellings, unknown tags, types and owners, and bad dates."""
    lines = ["Name;E-Mail;Status;Type;Owner;Tags;Kontakt am"]
    for n in range(MESSY):
        email = f"lead{n}(at)example.com" if n % 29 == 0 else f"lead{n}@example.com"
        state = ("New", "new ", "NEW!", "hot", "Qualified", "k.A.", "")[n % 7]
        kind = ("Inbound", "inbound", "Broker", "")[n % 4]
        owner = ("extern", "A. de Vries", "", "nobody@example.org")[n % 4]
        tags = ("VIP; DACH", "dach", "Messe Berlin | VIP", "k.A.", "")[n % 5]
        day = ("03.11.26", "27.11.2026", "bald", "3 Nov 2026", "31.02.26", "")[n % 6]
        lines.append(f'Lead {n};{email};{state};{kind};{owner};"{tags}";{day}')
    lines[100] = ";x@example.org;;;;;"
    lines[200] = ";;;;;;nur ein Datum"
    return "\n".join(lines)


@pytest.mark.parametrize("role", ["admin", "sales"])
def test_of_300_messy_rows_nearly_all_come_in_and_each_cell_that_is_left_out_is_listed(
    request: pytest.FixtureRequest, admin: Membership, client_as: Any, role: str
) -> None:
    member: Membership = request.getfixturevalue(role)
    make_field(admin.company, "Kontakt am", "date")
    Tag.objects.create(company=admin.company, name="VIP")

    done = run(upload(member, messy()), member)

    assert Lead.objects.count() >= 0.95 * MESSY
    rows = LeadImportRow.objects.of(done).filter(cell_problems__isnull=False)
    listed = sum(len(row.cell_problems or {}) for row in rows)
    left_out = {
        key: count for key, count in done.done.items() if key.startswith("cell:")
    }
    assert listed == sum(left_out.values()) > 200
    web: Client = client_as(member)
    answer = web.post(f"{done.get_absolute_url()}cells/download/")
    lines = b"".join(answer.streaming_content).decode().splitlines()  # type: ignore[attr-defined]
    assert len(lines) - 1 == listed
    assert done.done["cell:6:not_a_date"] > 80
    assert ("cell:5:tag_unknown" in done.done) == (role == "sales")
