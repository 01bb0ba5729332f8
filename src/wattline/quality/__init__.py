"""Are the rows what they should be, and what do they look like? Great Expectations, Evidently and plots."""
