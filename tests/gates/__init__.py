"""Tests of the gates: a table of cases for each file, run on the file and on every mutant of it."""
