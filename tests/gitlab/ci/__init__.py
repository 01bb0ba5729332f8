"""What GitLab would make of the pipeline, found without a GitLab: configuration, rules, graph."""
