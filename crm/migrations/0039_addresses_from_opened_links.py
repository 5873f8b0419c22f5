"""Deletes the unconfirmed addresses that allauth recorded when anyone opened a link for a new password.

People whom the operator had added had to confirm them before they could sign in. One that somebody signed up with is
primary, and one that someone is changing to differs from that of the user.
"""

from typing import Any

from django.db import migrations
from django.db.models import Exists, F, OuterRef


def delete(apps: Any, schema_editor: Any) -> None:
    addresses = apps.get_model("account", "EmailAddress").objects
    others = addresses.filter(user=OuterRef("user")).exclude(pk=OuterRef("pk"))
    recorded = addresses.filter(~Exists(others), verified=False, primary=False, email=F("user__email"))
    addresses.filter(pk__in=[*recorded.values_list("pk", flat=True)]).delete()


class Migration(migrations.Migration):
    dependencies = [
        ("account", "0009_emailaddress_unique_primary_email"),
        ("crm", "0038_plainer_reasons_of_bad_rows"),
    ]

    operations = [migrations.RunPython(delete, migrations.RunPython.noop)]
