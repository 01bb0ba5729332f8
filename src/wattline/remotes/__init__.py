"""DVC's remotes as the command line uses them: nothing goes there, or is believed from there, unverified."""
