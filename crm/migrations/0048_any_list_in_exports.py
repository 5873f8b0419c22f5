from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('crm', '0047_one_job'),
    ]

    operations = [
        migrations.AlterField(
            model_name='dataexport',
            name='kind',
            field=models.CharField(max_length=20),
        ),
    ]
