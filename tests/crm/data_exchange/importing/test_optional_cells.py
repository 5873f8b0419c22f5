"""A bad optional cell costs itself, is listed, and never fires a conversion; unknown tags can be added."""

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import reverse

from capi.models import ConversionEvent
from crm.data_exchange.importing.column_readings import ColumnReading
from crm.models import (
    AuditEntry,
    DealTag,
    Lead,
    LeadImport,
    LeadImportRow,
    Membership,
    SavedView,
    Tag,
)
from crm.services import lead_imports
from tests.conftest import make_deal, make_lead
from tests.crm.data_exchange.importing.uploading import run, upload, work_on

pytestmark = pytest.mark.django_db(transaction=True)


def undo(lead_import: LeadImport, member: Membership) -> None:
    lead_imports.undo(lead_import=lead_import, actor=member.user)
    work_on(lead_import)


def test_an_unreadable_cell_leaves_its_row_in_and_is_listed(
    sales: Membership, client_as: Any
) -> None:
    text = "Name,E-mail,Status,Owner\nAda B,ada@,Hot,nobody\nIda B,i@example.com,New,\n"

    done = run(upload(sales, text), sales, owner=sales.user)

    ada, ida = Lead.objects.order_by("pk")
    assert (ada.email, ada.status.name, ada.owner) == ("", "New", None)
    assert ida.owner == sales.user
    assert done.done == {
        "new": 2, "lead_created": 1, "lead_created:later": 1, "cell:1:email_invalid": 1, "cell:2:status_unknown": 1,
        "cell:3:owner_unknown": 1,
    }  # fmt: skip
    web: Client = client_as(sales)
    page = web.get(reverse("lead_import_cells", args=[done.pk])).content.decode()
    assert all(
        text in page for text in ("ada@", "Hot", "nobody", ada.get_absolute_url())
    )
    answer = web.post(reverse("lead_import_cells_file", args=[done.pk]))
    lines = b"".join(answer.streaming_content).decode().splitlines()  # type: ignore[attr-defined]
    assert lines == [
        "Row,Column,In the file,Reason,Stored",
        "2,E-mail,ada@,E-mail address is invalid,",
        "2,Status,Hot,Unknown status,",
        "2,Owner,nobody,Not one of your colleagues,",
    ]


def test_owners_are_found_by_name_and_by_address(sales: Membership) -> None:
    run(
        upload(
            sales, f"Name,Owner\nAda B,{sales.user}\nIda B,{sales.user.email.upper()}\n"
        ),
        sales,
    )

    assert set(Lead.objects.values_list("owner", flat=True)) == {sales.user_id}


def test_someone_may_choose_that_a_cell_costs_its_row(sales: Membership) -> None:
    checked = upload(sales, "Name,Status\nAda B,Hot\nIda B,New\n")
    readings = [ColumnReading(), ColumnReading(otherwise="row")]

    done = run(
        lead_imports.map_columns(
            lead_import=checked, columns=checked.columns, readings=readings
        ),
        sales,
    )

    assert (done.done["new"], done.done["bad"], done.done["bad:status_unknown"]) == (
        1,
        1,
        1,
    )


def test_an_unreadable_status_sends_only_what_a_new_lead_does_and_a_known_lead_keeps_its_own(
    sales: Membership, token: Any, make_rule: Any
) -> None:
    make_rule("lead_created")
    make_rule("lead_qualified")
    known = make_lead(sales.company, email="known@example.com", title="")
    before, already = known.status_id, ConversionEvent.objects.count()
    text = "Name,E-mail,Status,Job title\nAda B,a@example.com,Qualifeid,\nIda B,known@example.com,Qualifeid,Buyer\n"

    run(upload(sales, text), sales, tells_platforms=True)

    known.refresh_from_db()
    assert (known.status_id, known.title) == (before, "Buyer")
    assert ConversionEvent.objects.count() - already == 1


@pytest.mark.parametrize(
    ("column", "cell"), [("Consent", "perhaps"), ("Opted out", "2026-01-03")]
)
def test_whoever_may_not_have_agreed_is_not_shared_and_a_known_lead_stays_as_it_is(
    sales: Membership, column: str, cell: str
) -> None:
    known = make_lead(sales.company, email="known@example.com")

    run(
        upload(
            sales,
            f"Name,E-mail,{column}\nAda B,a@example.com,{cell}\nIda B,known@example.com,{cell}\n",
        ),
        sales,
    )

    known.refresh_from_db()
    assert known.share_with_ad_platforms
    assert not Lead.objects.get(email="a@example.com").share_with_ad_platforms


def test_a_row_without_a_name_fills_a_known_lead_and_makes_no_new_one(
    sales: Membership,
) -> None:
    known = make_lead(sales.company, email="known@example.com", title="")

    done = run(
        upload(
            sales,
            "Name,E-mail,Job title\n,known@example.com,Buyer\n,new@example.com,Buyer\n",
        ),
        sales,
    )

    known.refresh_from_db()
    assert known.title == "Buyer"
    assert (
        done.done["update"],
        done.done["bad:name_missing"],
        Lead.objects.count(),
    ) == (1, 1, 1)


TAGGED = "First name,Tags\nAda,VIP; Fair\nIda,fair; Berlin\nAda,Repeated\n"


def test_an_admin_s_import_adds_unknown_tags_and_its_undo_takes_them_back(
    admin: Membership,
) -> None:
    Tag.objects.create(company=admin.company, name="VIP")
    checked = upload(admin, TAGGED)
    assert Tag.objects.count() == 1

    done = run(checked, admin)

    assert set(Tag.objects.values_list("name", flat=True)) - {"VIP"} in (
        {"Fair", "Berlin"},
        {"fair", "Berlin"},
    )
    assert not any(key.startswith("cell:") for key in done.done)
    assert done.done == done.planned
    undo(done, admin)
    assert list(Tag.objects.values_list("name", flat=True)) == ["VIP"]
    # Two added, two deleted.
    assert AuditEntry.objects.filter(object_kind="tag").count() == 4


def test_an_undo_keeps_a_tag_that_something_else_uses(admin: Membership) -> None:
    done = run(upload(admin, "First name,Tags\nAda,One; Two; Three\n"), admin)
    one, two, _ = (
        Tag.objects.order_by("name")
        .filter(name__in=["One", "Two", "Three"])
        .order_by("pk")
    )
    DealTag.objects.create(
        company=admin.company, deal=make_deal(make_lead(admin.company)), tag=one
    )
    SavedView.objects.create(
        company=admin.company,
        owner=admin.user,
        name="Two",
        query=f"status=1&tag={two.pk}",
    )

    undo(done, admin)

    assert set(Tag.objects.values_list("pk", flat=True)) == {one.pk, two.pk}


def test_someone_who_may_not_change_the_lists_leaves_unknown_tags_out(
    sales: Membership,
) -> None:
    Tag.objects.create(company=sales.company, name="VIP")

    done = run(upload(sales, TAGGED), sales)

    assert done.done["cell:1:tag_unknown"] == 2
    assert Tag.objects.count() == 1
    assert list(
        Lead.objects.get(first_name="Ada").tags.values_list("name", flat=True)
    ) == ["VIP"]


def test_what_an_admin_has_prepared_is_not_started_by_someone_who_may_not_add_tags(
    admin: Membership, sales: Membership
) -> None:
    checked = upload(admin, TAGGED)

    with pytest.raises(ValidationError, match="only an admin may do"):
        lead_imports.start(
            lead_import=checked, owner=None, tells_platforms=False, actor=sales.user
        )

    checked.refresh_from_db()
    assert (checked.state, Tag.objects.count(), Lead.objects.count()) == (
        "paused",
        0,
        0,
    )


def test_tags_for_which_the_list_has_no_room_start_nothing(
    admin: Membership, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crm.services.picklists.ENTRIES_AT_MOST", 1)
    checked = upload(admin, TAGGED)

    with pytest.raises(
        ValidationError, match="adds 3 tags, and the list has room for 1"
    ):
        lead_imports.start(
            lead_import=checked, owner=None, tells_platforms=False, actor=admin.user
        )

    assert (LeadImport.objects.get().state, Tag.objects.count()) == ("paused", 0)


MESSY = 300


def messy() -> str:
    """300 rows of which two thirds have a cell that can't be read."""
    lines = ["Name;E-Mail;Status;Tags"]
    for number in range(MESSY):
        email = (
            f"lead{number}(at)example.com"
            if number % 27 == 0
            else f"lead{number}@example.com"
        )
        status = ("New", "hot", "TEST")[number % 3] if number % 2 else ""
        tags = "VIP, Unheard of" if number % 3 == 0 else "Newsletter"
        lines.append(f"Lead {number};{email};{status};{tags}")
    lines[150:155] = [";;;"] * 2 + [";x@example.org;;"] + lines[153:155]
    return "\n".join(lines)


def test_of_300_messy_rows_nearly_all_come_in_and_each_cell_that_is_left_out_is_listed(
    sales: Membership,
) -> None:
    Tag.objects.create(company=sales.company, name="VIP")

    done = run(upload(sales, messy()), sales)

    left_out = sum(count for key, count in done.done.items() if key.startswith("cell:"))
    listed = [
        row.cell_problems for row in LeadImportRow.objects.of(done) if row.cell_problems
    ]
    assert Lead.objects.count() >= 0.95 * MESSY
    assert sum(map(len, listed)) == left_out > 200
