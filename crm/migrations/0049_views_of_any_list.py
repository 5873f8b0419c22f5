from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('crm', '0048_any_list_in_exports'),
    ]

    operations = [
        migrations.AddField(
            model_name='savedview',
            name='list',
            field=models.CharField(db_default='leads', default='leads', editable=False, max_length=20),
        ),
        migrations.RemoveConstraint(
            model_name='savedview',
            name='one_saved_view_per_name',
        ),
        migrations.RemoveConstraint(
            model_name='savedview',
            name='one_saved_view_of_keys_per_name',
        ),
        migrations.AddConstraint(
            model_name='savedview',
            constraint=models.UniqueConstraint(fields=('company', 'owner', 'list', 'name'), name='one_saved_view_per_name'),
        ),
        migrations.AddConstraint(
            model_name='savedview',
            constraint=models.UniqueConstraint(condition=models.Q(('owner', None)), fields=('company', 'list', 'name'), name='one_saved_view_of_keys_per_name'),
        ),
    ]
