"""The paired energy test: one session, everything observed; then a judgement, from nothing but what was observed."""

from wattline.energy.paired.figures import gross_per_1000, idle_share, per_1000
from wattline.energy.paired.judgement import Judgement, judge
from wattline.energy.paired.sequence import looks

__all__ = ["Judgement", "gross_per_1000", "idle_share", "judge", "looks", "per_1000"]
