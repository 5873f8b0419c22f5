"""`/api/v1/lead-statuses/`, `…/lead-types/`, `…/lead-sources/` and `…/tags/`, to read: what a lead may be given."""

from rest_framework import serializers

from crm.api.pipelines import ReadOnlyViewSet
from crm.models import LeadSource, LeadStatus, LeadType, Tag


class LeadStatusSerializer(serializers.ModelSerializer[LeadStatus]):
    """A lead status. `meaning` decides which CRM events fire, and `position` is its place in the list."""

    class Meta:
        model = LeadStatus
        fields = ("id", "name", "meaning", "position", "archived_at")
        read_only_fields = fields


class LeadTypeSerializer(serializers.ModelSerializer[LeadType]):
    """A lead type. A lead has its `code` as `type`, which stays the same when the type is renamed."""

    class Meta:
        model = LeadType
        fields = ("id", "code", "name", "position", "archived_at")
        read_only_fields = fields


class LeadSourceSerializer(serializers.ModelSerializer[LeadSource]):
    """A source that is suggested for leads. A lead has its `name` as `source`, or any other text."""

    class Meta:
        model = LeadSource
        fields = ("id", "name", "position", "archived_at")
        read_only_fields = fields


class TagSerializer(serializers.ModelSerializer[Tag]):
    """A tag. Leads and deals have its `name`; filters and bulk changes take its id."""

    class Meta:
        model = Tag
        fields = ("id", "name", "position", "archived_at")
        read_only_fields = fields


class LeadStatusViewSet(ReadOnlyViewSet[LeadStatus]):
    """The company's lead statuses, newest first."""

    queryset = LeadStatus.objects.all()
    serializer_class = LeadStatusSerializer


class LeadTypeViewSet(ReadOnlyViewSet[LeadType]):
    """The company's lead types, newest first."""

    queryset = LeadType.objects.all()
    serializer_class = LeadTypeSerializer


class LeadSourceViewSet(ReadOnlyViewSet[LeadSource]):
    """The sources that are suggested for the company's leads, newest first."""

    queryset = LeadSource.objects.all()
    serializer_class = LeadSourceSerializer


class TagViewSet(ReadOnlyViewSet[Tag]):
    """The company's tags, newest first."""

    queryset = Tag.objects.all()
    serializer_class = TagSerializer
