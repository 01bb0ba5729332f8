"""The newest samples of every unit, kept between requests and across restarts."""
