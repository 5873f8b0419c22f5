"""Two chunks of an import at a time: the outcome is the same as one after the other, whatever happens meanwhile."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError, OperationalError, connection, transaction

from crm.data_exchange.importing import side_by_side, work, writing
from crm.data_exchange.importing.judging import JudgedRow
from crm.data_exchange.importing.side_by_side import Chunk, Turns, import_chunks
from crm.models import Company, CrmEvent, Lead, LeadImport, LeadImportRow, LeadStatus, Membership
from crm.models.roles import Role
from crm.services import lead_imports
from tests.capi.delivery.test_result_stands import somebody_waits
from tests.conftest import join, make_lead
from tests.crm.data_exchange.importing.uploading import HEADER, upload, work_on
from tests.faults.processes import wait_for

pytestmark = pytest.mark.django_db(transaction=True)

CHUNK = 3
ROWS = 4 * CHUNK


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "CHUNK", CHUNK)
    monkeypatch.setattr(side_by_side, "LOOK_EVERY", 0.1)


def always() -> bool:
    return True


def started(member: Membership, text: str = "", **choice: Any) -> LeadImport:
    rows = "\n".join([HEADER, *(f"Ada,{number},a{number}@example.com,,," for number in range(ROWS))])
    lead_import = upload(member, text or rows)
    choice = {"owner": None, "tells_platforms": False, **choice}
    assert lead_imports.start(lead_import=lead_import, actor=member.user, **choice)
    return lead_import


def in_another_thread(step: Callable[[], Any]) -> Any:
    answers = []

    def run() -> None:
        answers.append(step())
        connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(30)
    return answers[0]


def before_writing(monkeypatch: pytest.MonkeyPatch, first_row: int, step: Callable[[], Any]) -> None:
    """Have the chunk with this row do something before it writes its rows."""
    write = side_by_side.write

    def write_later(lead_import: LeadImport, judged: list[JudgedRow], **options: Any) -> None:
        if judged[0].number == first_row:
            step()
        write(lead_import, judged, **options)

    monkeypatch.setattr(side_by_side, "write", write_later)


def is_whole(lead_import: LeadImport) -> bool:
    """True if it has added each of its leads once, in the order of the file."""
    lead_import.refresh_from_db()
    leads = list(Lead.objects.order_by("pk").values_list("email", flat=True))
    return (
        leads == [f"a{number}@example.com" for number in range(ROWS)]
        and CrmEvent.objects.count() == ROWS
        and lead_import.done == lead_import.planned == {"new": ROWS, "lead_created": ROWS}
    )


def test_all_full_chunks_are_done_and_the_rest_is_left_to_the_one_at_the_end(sales: Membership) -> None:
    lead_import = started(sales)

    assert import_chunks(lead_import.pk, always)

    assert is_whole(lead_import)
    assert lead_import.state == "running"
    assert not import_chunks(lead_import.pk, always)
    assert work_on(lead_import).state == "done"


def test_rows_about_one_person_in_two_chunks_have_the_outcome_that_they_have_one_after_the_other(
    sales: Membership, other_company: Company
) -> None:
    rows = [
        "Ada,A,a@example.com,,,", "Bea,B,,11111,,", "Known,K,known@example.com,22222,,",
        "Ada,A,A@example.com,,,", "Known,K,,22222,,", "Cem,C,c@,,,",
        "Known,K,,22222,,Director", "Cem,C,c@example.com,,,", "Bea,B,,1 11 11,,",
        "Known,K,known@example.com,,,Owner", "Ada,A,a@example.com,,,", "Cem,C,c@example.com,,,",
    ]  # fmt: skip
    text = "\n".join([HEADER, *rows, "Dia,D,d@example.com,,,"])
    outcomes = []
    for member, does_two in ((sales, True), (join(other_company, Role.SALES, email="x@example.com"), False)):
        make_lead(member.company, first_name="Known", last_name="K", email="known@example.com", phone="", title="")
        lead_import = started(member, text)

        assert not does_two or import_chunks(lead_import.pk, always)
        done = work_on(lead_import)

        written = LeadImportRow.objects.of(lead_import).values_list("number", "outcome", "problem", "of_row")
        leads = Lead.objects.for_company(member.company).order_by("pk")
        outcomes.append((done.done, list(written), list(leads.values_list("first_name", "email", "phone", "title"))))

    assert outcomes[0] == outcomes[1]
    assert outcomes[0][0]["new"] + outcomes[0][0]["update"] + outcomes[0][0]["duplicate"] == len(rows)


def test_a_chunk_that_finds_another_one_done_writes_nothing(sales: Membership) -> None:
    lead_import = started(sales)
    turns = Turns(lead_import.pk, always)

    turns.take(Chunk(after=lead_import.reached + 1 + CHUNK, added=0))

    assert turns.committed == 0
    assert not Lead.objects.exists()
    assert work_on(lead_import).state == "done"
    assert is_whole(lead_import)


@pytest.mark.parametrize("does", ["discard", "map_columns"])
def test_who_comes_too_late_for_an_upload_waits_for_no_chunk(
    sales: Membership, monkeypatch: pytest.MonkeyPatch, does: str
) -> None:
    lead_import = started(sales)
    options = {"discard": {}, "map_columns": {"columns": ["first_name"] * 6}}[does]
    answers: list[Any] = []

    def try_it() -> None:
        answers.append(in_another_thread(lambda: getattr(lead_imports, does)(lead_import=lead_import, **options)))

    before_writing(monkeypatch, 2 + CHUNK, try_it)

    assert import_chunks(lead_import.pk, always)

    assert answers == [False if does == "discard" else lead_import]
    assert is_whole(lead_import)


def test_who_deletes_the_company_waits_for_no_chunk_that_waits_for_them(
    sales: Membership, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL can't see this deadlock either: the claim waits in Python for the chunk."""
    lead_import = started(sales)
    wants_it, waits = threading.Event(), []

    def delete() -> None:
        with transaction.atomic():
            Company.objects.select_for_update().get(pk=sales.company_id)  # a new lead of the company waits for this
            wants_it.set()
            wait_for(somebody_waits, seconds=30, told="The chunk has come to wait for the company.")
            LeadImport.objects.select_for_update().get(pk=lead_import.pk)
            waits.append(somebody_waits())
        connection.close()

    deleting = threading.Thread(target=delete)
    before_writing(monkeypatch, 2 + CHUNK, lambda: (deleting.start(), wants_it.wait(30)))

    import_chunks(lead_import.pk, always)

    deleting.join(30)
    assert waits == [True]  # the chunk still did
    assert work_on(lead_import).state == "done"
    assert is_whole(lead_import)


def test_an_error_in_a_chunk_leaves_nothing_of_it_or_the_next_one(
    sales: Membership, monkeypatch: pytest.MonkeyPatch
) -> None:
    lead_import = started(sales)
    before_writing(monkeypatch, 2 + CHUNK, lambda: 1 / 0)

    assert import_chunks(lead_import.pk, always)

    lead_import.refresh_from_db()
    assert (Lead.objects.count(), CrmEvent.objects.count(), lead_import.done["new"]) == (CHUNK, CHUNK, CHUNK)
    assert LeadImportRow.objects.filter(lead__in=Lead.objects.all()).count() == CHUNK
    assert work_on(lead_import).state == "done"
    assert is_whole(lead_import)


def test_a_cancel_while_two_chunks_are_under_way_keeps_what_is_in(
    sales: Membership, monkeypatch: pytest.MonkeyPatch
) -> None:
    lead_import = started(sales)

    def cancel() -> None:
        wait_for(lambda: LeadImport.objects.get().done, seconds=30, told="The first chunk is committed.")
        assert in_another_thread(lambda: lead_imports.cancel(lead_import=lead_import, actor=sales.user))

    before_writing(monkeypatch, 2 + CHUNK, cancel)

    assert import_chunks(lead_import.pk, always)

    lead_import.refresh_from_db()
    assert (lead_import.state, lead_import.done["new"], Lead.objects.count()) == ("cancelled", CHUNK, CHUNK)
    assert lead_imports.undo(lead_import=lead_import, actor=sales.user)
    assert work_on(lead_import).state == "undone"
    assert not Lead.objects.exists()


def test_a_chunk_of_someone_who_may_no_longer_import_is_not_committed(
    sales: Membership, monkeypatch: pytest.MonkeyPatch
) -> None:
    lead_import = started(sales)
    lower = Membership.objects.filter(pk=sales.pk).update

    def lose_the_role() -> None:
        wait_for(lambda: LeadImport.objects.get().done, seconds=30, told="The first chunk is committed.")
        in_another_thread(lambda: lower(role=Role.OPS))

    before_writing(monkeypatch, 2 + CHUNK, lose_the_role)
    lead_imports.work_through(always)

    lead_import.refresh_from_db()
    assert (lead_import.state, lead_import.problem) == ("failed", work.NO_LONGER_ALLOWED)
    assert Lead.objects.count() == CHUNK


def test_a_second_worker_leaves_the_import_to_the_first(sales: Membership, monkeypatch: pytest.MonkeyPatch) -> None:
    lead_import = started(sales)
    answers: list[bool] = []

    def work_too() -> bool:
        return import_chunks(lead_import.pk, always) or work.advance(lead_import.pk)

    before_writing(monkeypatch, 2 + CHUNK, lambda: answers.append(in_another_thread(work_too)))

    assert import_chunks(lead_import.pk, always)

    assert answers == [False]
    assert is_whole(lead_import)


def test_an_import_that_another_worker_has_to_itself_is_left_to_it(sales: Membership) -> None:
    lead_import = started(sales)

    with transaction.atomic():
        LeadImport.objects.select_for_update().get(pk=lead_import.pk)
        assert not in_another_thread(lambda: import_chunks(lead_import.pk, always))

    assert not Lead.objects.exists()


def test_a_chunk_gives_way_to_the_one_before_that_waits_for_it(
    sales: Membership, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL can't see this deadlock: the later chunk waits in Python."""
    known = make_lead(sales.company, email=f"a{CHUNK}@example.com", last_name="")
    lead_import = started(sales)

    def want_its_lead() -> None:
        wait_for(lambda: _is_locked(known), seconds=30, told="The second chunk has locked its lead.")
        list(Lead.objects.select_for_update().filter(pk=known.pk))

    before_writing(monkeypatch, 2, want_its_lead)

    assert import_chunks(lead_import.pk, always)

    lead_import.refresh_from_db()
    assert lead_import.done == {"new": CHUNK, "lead_created": CHUNK}
    assert work_on(lead_import).done == {"new": ROWS - 1, "update": 1, "lead_created": ROWS - 1}


def _is_locked(lead: Lead) -> bool:
    return not in_another_thread(lambda: list(_free(lead)))


def _free(lead: Lead) -> list[Lead]:
    with transaction.atomic():
        return list(Lead.objects.select_for_update(skip_locked=True).filter(pk=lead.pk))


def test_it_stops_with_the_worker(sales: Membership) -> None:
    lead_import = started(sales)
    answers = iter([True, False])

    assert import_chunks(lead_import.pk, lambda: next(answers))

    lead_import.refresh_from_db()
    assert lead_import.done["new"] == Lead.objects.count() == CHUNK


@pytest.mark.parametrize("tells_platforms", [False, True])
def test_what_is_told_to_ad_platforms_is_done_one_after_the_other(sales: Membership, tells_platforms: bool) -> None:
    lead_import = started(sales, tells_platforms=tells_platforms)

    assert import_chunks(lead_import.pk, always) == (not tells_platforms)


@pytest.mark.parametrize("room_for", [0, 1])
def test_a_machine_without_room_for_two_threads_imports_all_the_same(
    sales: Membership, monkeypatch: pytest.MonkeyPatch, room_for: int
) -> None:
    lead_import = started(sales)
    start, room = threading.Thread.start, iter([True] * room_for)

    def start_if_there_is_room(thread: threading.Thread) -> None:
        if not next(room, False):
            raise RuntimeError("can't start new thread")
        start(thread)

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", start_if_there_is_room)
        assert import_chunks(lead_import.pk, always) == bool(room_for)

    assert work_on(lead_import).state == "done"
    assert is_whole(lead_import)


def test_a_claim_whose_connection_is_lost_ends_the_turns(sales: Membership, monkeypatch: pytest.MonkeyPatch) -> None:
    lead_import = started(sales)
    lost = threading.Event()

    def lose(turns: Turns) -> None:
        lost.set()
        raise OperationalError("gone")

    monkeypatch.setattr(Turns, "_give_sign_of_life", lose)
    before_writing(monkeypatch, 2, lambda: lost.wait(30))
    before = set(threading.enumerate())

    with pytest.raises(OperationalError):
        import_chunks(lead_import.pk, always)

    wait_for(lambda: set(threading.enumerate()) <= before, seconds=30, told="Both threads have ended.")
    lead_import.refresh_from_db()
    assert Lead.objects.count() == lead_import.done["new"] < ROWS
    assert work_on(lead_import).state == "done"
    assert is_whole(lead_import)


def test_rows_without_keys_get_them_in_the_order_of_the_file(
    sales: Membership, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Like rows that an earlier version checked, and rows that became new only after the check."""
    lead_import = started(sales)
    LeadImportRow.objects.update(lead=None)
    second = threading.Event()
    before_writing(monkeypatch, 2, lambda: second.wait(10))
    save_rows = writing.save_rows

    def save_and_tell(lead_import: LeadImport, judged: list[JudgedRow]) -> None:
        save_rows(lead_import, judged)
        if judged[0].number == 2 + CHUNK:
            second.set()

    monkeypatch.setattr(writing, "save_rows", save_and_tell)

    assert import_chunks(lead_import.pk, always)

    assert is_whole(lead_import)


def test_leads_of_two_chunks_are_newer_than_one_that_was_added_after_the_check(sales: Membership) -> None:
    lead_import = started(sales)
    older = make_lead(sales.company, email="older@example.com")

    assert import_chunks(lead_import.pk, always)

    added = Lead.objects.exclude(pk=older.pk).order_by("pk").values_list("pk", "email")
    assert older.pk < added[0][0]
    assert [email for _, email in added] == [f"a{number}@example.com" for number in range(ROWS)]
    assert work_on(lead_import).state == "done"


def test_a_status_that_is_deleted_while_leads_with_it_are_added_has_the_chunk_done_again(
    sales: Membership, monkeypatch: pytest.MonkeyPatch
) -> None:
    status = LeadStatus.objects.create(company=sales.company, name="Warm", meaning="contacted", position=9)
    lead_import = started(sales, "Name,Status\nAda A,Warm\nBea B,New")
    write = work.write

    def delete_and_write(lead_import: LeadImport, judged: list[JudgedRow]) -> None:
        monkeypatch.setattr(work, "write", write)
        in_another_thread(status.delete)
        write(lead_import, judged)

    monkeypatch.setattr(work, "write", delete_and_write)
    with pytest.raises(IntegrityError):
        work_on(lead_import)

    done = work_on(lead_import)

    assert (done.state, done.done["new"], done.done["bad:status_unknown"]) == ("done", 1, 1)
