from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('capi', '0007_interrupted_request'),
    ]

    operations = [
        migrations.AddField(
            model_name='connection',
            name='request_events',
            field=models.BinaryField(editable=False, null=True),
        ),
        # Kept as a column while processes of the version before may still name it.
        migrations.SeparateDatabaseAndState(
            state_operations=[migrations.RemoveField(model_name='connection', name='interrupted_at')]
        ),
    ]
