"""No two passkeys have the same id, whoever they belong to. The table is allauth's."""

from typing import Any

from django.db import migrations

# Of two passkeys with one id, the earlier one is of the device that made it.
DELETE_LATER = """
    DELETE FROM mfa_authenticator AS later USING mfa_authenticator AS earlier
    WHERE later.type = 'webauthn' AND earlier.type = 'webauthn' AND later.id > earlier.id
    AND later.data #>> '{credential,id}' = earlier.data #>> '{credential,id}'
"""
ADD_INDEX = """
    CREATE UNIQUE INDEX crm_unique_passkey ON mfa_authenticator ((data #>> '{credential,id}')) WHERE type = 'webauthn'
"""


def make_unique(apps: Any, editor: Any) -> None:
    editor.execute(DELETE_LATER)
    editor.execute(ADD_INDEX)


def allow_again(apps: Any, editor: Any) -> None:
    editor.execute("DROP INDEX IF EXISTS crm_unique_passkey")


class Migration(migrations.Migration):
    dependencies = [
        ("crm", "0043_typed_forms"),
        ("mfa", "0003_authenticator_type_uniq"),
    ]

    operations = [migrations.RunPython(make_unique, allow_again)]
