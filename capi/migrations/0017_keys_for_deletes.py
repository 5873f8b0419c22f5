import django.db.models.deletion
from django.db import migrations, models

from crm.models.tenancy import AddIndexUnblocked


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ("capi", "0016_rests_and_body_limit"),
    ]

    operations = [
        AddIndexUnblocked(
            model_name="earlierattempt",
            index=models.Index(fields=["attempt"], name="earlier_by_attempt"),
        ),
        AddIndexUnblocked(
            model_name="conversionevent",
            index=models.Index(
                condition=models.Q(("backfill__isnull", False)), fields=["backfill"], name="events_by_backfill"
            ),
        ),
        migrations.AlterField(
            model_name="conversionevent",
            name="last_attempt",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="events",
                to="capi.attempt",
            ),
        ),
    ]
