"""One normal form for the address of an account. Stops, with nothing changed, where two accounts have the same."""

from typing import Any

from django.db import migrations, models

import crm.models.addresses
import crm.models.people
from crm.models.address_repair import normalise_addresses


def normalise(apps: Any, schema_editor: Any) -> None:
    normalise_addresses(
        users=apps.get_model("crm", "User").objects,
        addresses=apps.get_model("account", "EmailAddress").objects,
        invitations=apps.get_model("crm", "Invitation").objects,
    )


class Migration(migrations.Migration):
    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
        ("account", "0009_emailaddress_unique_primary_email"),
        ("crm", "0004_what_undo_needs"),
    ]

    operations = [
        migrations.RunPython(normalise, migrations.RunPython.noop),
        migrations.AlterModelManagers(name="user", managers=[("objects", crm.models.people.UserManager())]),
        migrations.RemoveConstraint(model_name="invitation", name="one_open_invitation_per_address"),
        migrations.RemoveConstraint(model_name="user", name="one_user_per_email"),
        migrations.AlterField(
            model_name="invitation",
            name="email",
            field=crm.models.addresses.AccountAddressField(max_length=254),
        ),
        migrations.AlterField(
            model_name="user",
            name="email",
            field=crm.models.addresses.AccountAddressField(
                blank=True, max_length=254, verbose_name="email address"
            ),
        ),
        migrations.AddConstraint(
            model_name="invitation",
            constraint=models.UniqueConstraint(
                fields=["company", "email"],
                name="one_open_invitation_per_person",
                condition=models.Q(accepted_at=None, revoked_at=None),
            ),
        ),
        migrations.AddConstraint(
            model_name="user",
            constraint=models.UniqueConstraint(
                fields=["email"],
                name="one_user_per_address",
                condition=~models.Q(email=""),
                violation_error_message="Another user has this e-mail address.",
            ),
        ),
    ]
