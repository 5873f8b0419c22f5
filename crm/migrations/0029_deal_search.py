from django.db import migrations, models

from crm.models.deal_search import deal_search_column


class Migration(migrations.Migration):

    dependencies = [
        ('crm', '0028_exports_of_keys'),
    ]

    operations = [
        deal_search_column(),
        migrations.RemoveIndex(
            model_name='deal',
            name='deal_board',
        ),
        migrations.AddIndex(
            model_name='change',
            index=models.Index(fields=['company', '-changed_at', '-id'], name='changes_of_company'),
        ),
        migrations.AddIndex(
            model_name='crmevent',
            index=models.Index(fields=['company', '-occurred_at', '-id'], name='crm_event_by_time'),
        ),
        migrations.AddIndex(
            model_name='deal',
            index=models.Index(fields=['company', 'stage', '-updated_at', '-id'], include=('owner', 'currency', 'amount', 'expected_close'), name='deal_board'),
        ),
        migrations.AddIndex(
            model_name='deal',
            index=models.Index(fields=['company', '-updated_at', '-id'], name='deal_by_change'),
        ),
    ]
