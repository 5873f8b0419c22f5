"""Indexes for likely typos and addresses of roles. With 500,000 leads, writing leads waits 0.4 s."""

import crm.models.address_problems
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('crm', '0004_imported_objects'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='lead',
            index=models.Index(models.F('company'), crm.models.address_problems.AddressDomain('email'), name='lead_by_domain'),
        ),
        migrations.AddIndex(
            model_name='lead',
            index=models.Index(condition=models.Q(crm.models.address_problems.IsOfRole('email'), models.Q(('erased_at', None), ('merged_into', None))), fields=['company', 'source', 'owner'], name='leads_of_roles'),
        ),
    ]
