"""What runs after a commit may get lost: the process dies, or the COMMIT takes effect and its answer never arrives.

So nothing that is promised may be left to a hook. Each hook of the product is listed here, with why it may get lost. A
hook that fails neither fails the save, whose answer would say that it may not have been saved, nor stops another one.
"""

import ast
import logging
from collections.abc import Iterator
from typing import Final
from unittest.mock import Mock

import pytest
from django.conf import settings
from django.db import transaction

from capi.delivery import wakeup
from crm.models import Lead
from tests.conftest import make_lead
from tests.crm.api.calling import caller

PACKAGES: Final = ("leadmachine", "crm", "capi", "postgresql")
# By file and function: why nothing is lost with the hook.
HOOKS: Final = {
    ("capi/delivery/wakeup.py", "wake_on_commit"): "the sweep finds lanes that are due",
    (
        "capi/delivery/planning.py",
        "_run",
    ): "the sweep rechecks events with `needs_recheck`",
    (
        "capi/delivery/recall.py",
        "wait_on_commit",
    ): "it only delays the return: the recall itself is committed",
    (
        "capi/delivery/cancellation.py",
        "forget_leads",
    ): "a line of the sandbox's log, which the housekeeping deletes",
    (
        "capi/delivery/deal_people.py",
        "follow_lead",
    ): "a line of the sandbox's log, which the housekeeping deletes",
    (
        "capi/delivery/pauses.py",
        "pause_rule",
    ): "a line of our log; pages and alerts show the pause",
    (
        "postgresql/commits.py",
        "register",
    ): "it has run before the commit: what is left only allows something again",
    (
        "crm/models/attachment.py",
        "delete_content",
    ): "the housekeeping deletes stored files without a row",
}
NAMES: Final = ("on_commit", "delay_on_commit")  # Django's, and Celery's


def hooks() -> Iterator[tuple[tuple[str, str], ast.Call]]:
    """Each place that registers a hook: its file and function, and the call."""
    for package in PACKAGES:
        for path in sorted((settings.BASE_DIR / package).rglob("*.py")):
            for function in ast.walk(ast.parse(path.read_text())):
                if isinstance(function, ast.FunctionDef):
                    where = str(path.relative_to(settings.BASE_DIR)), function.name
                    yield from (
                        (where, call)
                        for call in ast.walk(function)
                        if is_registration(call)
                    )


def is_registration(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call):
        return False
    return (
        node.func.attr
        if isinstance(node.func, ast.Attribute)
        else getattr(node.func, "id", "")
    ) in NAMES


def test_each_hook_is_one_that_may_get_lost() -> None:
    assert {where for where, _ in hooks()} == set(HOOKS)
    assert sum(1 for _ in hooks()) == len(HOOKS)


def test_each_hook_is_robust() -> None:
    robust = [
        where
        for where, call in hooks()
        if any(word.arg == "robust" for word in call.keywords)
    ]

    assert robust == [where for where, _ in hooks()]


@pytest.mark.django_db(transaction=True)
def test_a_hook_that_fails_fails_neither_the_save_nor_the_hooks_after_it(
    company, connected, make_rule, monkeypatch, caplog
) -> None:
    make_rule("lead_created")
    lead, ran = make_lead(company, email=""), []
    monkeypatch.setattr(
        wakeup.publisher,
        "request",
        Mock(side_effect=RuntimeError("no thread can be started")),
    )
    address = {"email": "ada@example.com"}

    with (
        caplog.at_level(logging.ERROR, logger="django.db.backends.base"),
        transaction.atomic(),
    ):
        answer = caller(company).patch(
            f"/api/v1/leads/{lead.pk}/", address, format="json"
        )
        transaction.on_commit(lambda: ran.append(True))

    assert (answer.status_code, Lead.objects.get().email, ran) == (
        200,
        "ada@example.com",
        [True],
    )
    assert (
        "Error calling _wake_up.<locals>.wake_up in on_commit() during transaction"
        in caplog.text
    )
