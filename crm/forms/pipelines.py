"""The form of a pipeline, and the choice of a stage."""

from collections.abc import Iterator
from itertools import groupby
from typing import Any

from django.core.exceptions import ValidationError
from django_filters import fields

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
        others = Pipeline.objects.for_company(self.instance.company).exclude(pk=self.instance.pk)
        if named_alike(others, name):
            raise ValidationError(f"There is a pipeline called “{name}” already.")
        return name


class StageIterator(fields.ModelChoiceIterator):  # type: ignore[misc]
    """The stages under the names of their pipelines, if there is more than one."""

    def __iter__(self) -> Iterator[Any]:
        choices = super().__iter__()
        if self.field.empty_label is not None:
            yield next(choices)  # yielded first: a widget that needs only the first choice then makes no query
        groups = [(name, list(group)) for name, group in groupby(choices, key=_pipeline_of)]
        if len(groups) == 1:
            yield from groups[0][1]
        else:
            yield from groups


def _pipeline_of(choice: tuple[Any, str]) -> str:
    return str(choice[0].instance.pipeline or "")


class StageChoiceField(fields.ModelChoiceField):  # type: ignore[misc]
    """A choice among stages, for forms and filters."""

    iterator = StageIterator
