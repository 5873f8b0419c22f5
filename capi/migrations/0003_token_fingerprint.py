from django.db import migrations, models

from capi.models.token import UnreadableToken, fingerprint, unseal


def take_fingerprints(apps, schema_editor):
    """Of the tokens that can be read. The others have to be saved again anyway."""
    connections = apps.get_model("capi", "Connection").objects
    for pk, company_id, sealed in connections.exclude(sealed_token="").values_list("pk", "company_id", "sealed_token"):
        try:
            token = unseal(company_id=company_id, sealed=sealed)
        except UnreadableToken:
            continue
        connections.filter(pk=pk).update(token_fingerprint=fingerprint(token))
    connections.update(token_last_four="")


class Migration(migrations.Migration):

    dependencies = [
        ('capi', '0002_taken_back'),
    ]

    operations = [
        # Emptied, and kept as a column while processes of the version before may still name it.
        migrations.AlterField(
            model_name='connection',
            name='token_last_four',
            field=models.CharField(blank=True, db_default='', editable=False, max_length=4),
        ),
        migrations.AddField(
            model_name='connection',
            name='token_confirmed_at',
            field=models.DateTimeField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name='connection',
            name='token_fingerprint',
            field=models.CharField(blank=True, db_default='', editable=False, max_length=8),
        ),
        migrations.RunPython(take_fingerprints, migrations.RunPython.noop, elidable=True),
        migrations.SeparateDatabaseAndState(
            state_operations=[migrations.RemoveField(model_name='connection', name='token_last_four')]
        ),
    ]
