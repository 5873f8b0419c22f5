"""No two passkeys have the same id, whoever they belong to. The table is allauth's, which refers to our users."""

from django.db import migrations

ADD_INDEX = """
    CREATE UNIQUE INDEX crm_unique_passkey ON mfa_authenticator ((data #>> '{credential,id}')) WHERE type = 'webauthn'
"""

class Migration(migrations.Migration):
    dependencies = [
        ("crm", "0001_initial"),
        ("mfa", "0003_authenticator_type_uniq"),
    ]

    operations = [migrations.RunSQL(ADD_INDEX, "DROP INDEX crm_unique_passkey")]
