"""The back ends' fixtures, for the tests of the back ends themselves."""

from backends.fixtures import auth_server, database, postgres, proxy, s3, tracking_server

__all__ = ["auth_server", "database", "postgres", "proxy", "s3", "tracking_server"]
