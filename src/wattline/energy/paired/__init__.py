"""The paired energy test: one session, everything observed; then a judgement, from nothing but what was observed."""
