from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('capi', '0008_request_events'),
    ]

    operations = [
        migrations.AddField(
            model_name='conversionevent',
            name='needs_recheck',
            field=models.BooleanField(db_default=False, default=False, editable=False),
        ),
        migrations.AddIndex(
            model_name='conversionevent',
            index=models.Index(condition=models.Q(('needs_recheck', True)), fields=['id'], name='events_to_recheck'),
        ),
    ]
