"""The form of a pipeline."""

from typing import Any

from django.core.exceptions import ValidationError

from crm.forms.changes import ChangesForm
from crm.models import Company, Pipeline
from crm.models.picklist import named_alike


class PipelineForm(ChangesForm):
    """The name of a pipeline of the given company."""

    class Meta:
        model = Pipeline
        fields = ("name",)
        help_texts = {"name": "What it sells or to whom, such as “Renewals”."}

    def __init__(self, *args: Any, company: Company, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.instance.company = company

    def clean_name(self) -> str:
        """Raise ValidationError if another of the company's pipelines has this name, ignoring case."""
        name = " ".join(self.cleaned_data["name"].split())
        others = Pipeline.objects.for_company(self.instance.company).exclude(
            pk=self.instance.pk
        )
        if named_alike(others, name):
            raise ValidationError(f"There is a pipeline called “{name}” already.")
        return name
