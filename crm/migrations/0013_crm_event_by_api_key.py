from django.db import migrations, models

from crm.models.tenancy import AddIndexUnblocked


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ("crm", "0012_second_factor_reset"),
    ]

    operations = [
        AddIndexUnblocked(
            model_name="crmevent",
            index=models.Index(
                condition=models.Q(("api_key__isnull", False)), fields=["api_key"], name="crm_event_by_api_key"
            ),
        ),
    ]
