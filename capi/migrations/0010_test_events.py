from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('capi', '0009_recheck_skipped'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='conversionevent',
            index=models.Index(
                condition=models.Q(('is_test', True)), fields=['company', '-id'], name='test_events'
            ),
        ),
    ]
