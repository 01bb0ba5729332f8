"""Secrets from Vault or OpenBao: a job logs in with the JWT that GitLab made for it, and gives its token back."""

from wattline.gitlab.vault.session import NOTHING, Login, login, logout

__all__ = ["NOTHING", "Login", "login", "logout"]
