"""Indexes that count the leads without an address, and those that are not shared, without reading a lead."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('crm', '0005_address_problems'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='lead',
            index=models.Index(condition=models.Q(models.Q(('erased_at', None), ('merged_into', None)), ('email', '')), fields=['company'], name='leads_without_address'),
        ),
        migrations.AddIndex(
            model_name='lead',
            index=models.Index(condition=models.Q(models.Q(('erased_at', None), ('merged_into', None)), ('share_with_ad_platforms', False)), fields=['company'], name='leads_not_shared'),
        ),
    ]
