"""`/api/v1/pipelines/` and `…/lost-reasons/`, to read: the ids that a script needs for a deal."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import mixins, serializers

from crm.api.viewsets import CompanyViewSet, M
from crm.models import LostReason, Pipeline, Stage
from crm.models.roles import Action
from crm.models.scopes import Noun


class StageSerializer(serializers.ModelSerializer[Stage]):
    """A stage. `meaning` decides which CRM events fire; `chance` is in per cent."""

    class Meta:
        model = Stage
        fields = ("id", "name", "meaning", "chance", "archived_at")
        read_only_fields = fields


class PipelineSerializer(serializers.ModelSerializer[Pipeline]):
    """A pipeline with its stages in their order."""

    stages = serializers.SerializerMethodField()

    class Meta:
        model = Pipeline
        fields = ("id", "name", "is_default", "archived_at", "stages")
        read_only_fields = fields

    @extend_schema_field(StageSerializer(many=True))
    def get_stages(self, pipeline: Pipeline) -> Any:
        return StageSerializer(pipeline.stages.all(), many=True).data


class LostReasonSerializer(serializers.ModelSerializer[LostReason]):
    """A reason why deals are lost."""

    class Meta:
        model = LostReason
        fields = ("id", "name", "archived_at")
        read_only_fields = fields


class ReadOnlyViewSet(
    mixins.ListModelMixin, mixins.RetrieveModelMixin, CompanyViewSet[M]
):
    """What anyone who sees deals may read."""

    nouns = (Noun.LISTS,)
    actions = {"list": Action.SEE_LEADS, "retrieve": Action.SEE_LEADS}


class DealPipelineViewSet(ReadOnlyViewSet[Pipeline]):
    """The company's pipelines, newest first."""

    queryset = Pipeline.objects.prefetch_related("stages")
    serializer_class = PipelineSerializer


class LostReasonViewSet(ReadOnlyViewSet[LostReason]):
    """The company's lost reasons, newest first."""

    queryset = LostReason.objects.all()
    serializer_class = LostReasonSerializer
