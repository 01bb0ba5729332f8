"""What a job says to GitLab and asks of it: notes, pipelines, branches, settings."""
