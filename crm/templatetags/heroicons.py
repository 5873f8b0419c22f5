"""The tags of heroicons, cached: heroicons itself writes the XML of an icon each time it is shown.

A page has 15 to 70 icons, which take 0.04 ms each. The package isn't an installed app, because its tags would have the
same names.
"""

from functools import lru_cache

from django import template
from heroicons.templatetags.heroicons import (
    heroicon_micro,
    heroicon_mini,
    heroicon_outline,
    heroicon_solid,
)

register = template.Library()

for draw in (heroicon_micro, heroicon_mini, heroicon_outline, heroicon_solid):
    register.simple_tag(lru_cache(maxsize=200)(draw), name=draw.__name__)
