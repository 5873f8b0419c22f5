"""`manage.py demo` on a database that has no demo: what it prints, and where it refuses."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from crm.models import Company

pytestmark = pytest.mark.django_db


def load() -> str:
    printed = StringIO()
    call_command("demo", stdout=printed)
    return printed.getvalue()


def test_it_prints_who_can_sign_in(settings) -> None:
    settings.DEBUG = True

    assert load() == (
        "Demo companies loaded.\n"
        "\n"
        "Sign in with the password try-the-machine as\n"
        "  anna@northwind.example   Admin  at Northwind BV\n"
        "  sami@northwind.example   Sales  at Northwind BV\n"
        "  olga@northwind.example   Ops    at Northwind BV\n"
        "  clara@contoso.example    Admin  at Contoso GmbH\n"
    )


def test_in_production_it_refuses_and_loads_nothing(settings) -> None:
    settings.DEBUG, settings.LINKEDIN_SANDBOX = False, True

    with pytest.raises(
        CommandError,
        match=r"the demo's passwords are public\..* On a machine of your own, set DEBUG=on",
    ):
        load()

    assert not Company.objects.exists()
