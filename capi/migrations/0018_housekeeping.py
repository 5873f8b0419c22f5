from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("capi", "0017_keys_for_deletes"),
    ]

    operations = [
        migrations.CreateModel(
            name="Housekeeping",
            fields=[
                ("id", models.PositiveSmallIntegerField(primary_key=True, serialize=False)),
                ("done_at", models.DateTimeField()),
                ("claim_id", models.UUIDField(null=True)),
                ("claimed_until", models.DateTimeField(null=True)),
            ],
        ),
    ]
