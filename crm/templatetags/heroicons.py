"""The tags of heroicons, which draw each icon once: heroicons itself writes its XML each time it is shown.

A page has 15 to 70 icons, of 0.04 ms each. The package is no installed app: its tags would have the same name.
"""

from functools import lru_cache

from django import template
from heroicons.templatetags.heroicons import heroicon_micro, heroicon_mini, heroicon_outline, heroicon_solid

register = template.Library()

for draw in (heroicon_micro, heroicon_mini, heroicon_outline, heroicon_solid):
    register.simple_tag(lru_cache(maxsize=200)(draw), name=draw.__name__)
