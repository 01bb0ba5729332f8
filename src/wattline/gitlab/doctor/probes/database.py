"""Whether the database of the audit log lets us in, and write."""

import os
import re
import sqlite3
from contextlib import closing
from pathlib import Path

from wattline.gitlab.doctor.facts import Outcome

SECONDS = 5
OPTIONS = f"-c statement_timeout={SECONDS}s"
WRITABLE = """
SELECT NOT pg_is_in_recovery() AND CASE WHEN to_regclass('wattline_audit') IS NULL
    THEN has_schema_privilege(current_schema(), 'CREATE')
    ELSE has_table_privilege('wattline_audit', 'INSERT') END
"""
"""Where the table is not there, the first entry makes it."""
KINDS = {
    "password authentication failed": "password",
    "no password supplied": "password",
    "does not exist": "absent",
    "no pg_hba.conf entry": "host",
    "certificate verify failed": "certificate",
    "server does not support SSL": "tls",
    "could not translate host name": "name",
    "failed to resolve host": "name",
    "Connection refused": "refused",
    "timeout": "silent",
    "timed out": "silent",
}
"""What libpq says, and our word for it."""


def try_out(uri: str) -> Outcome:
    """Open the database behind an SQLAlchemy URI, and ask whether we may write."""
    if uri.startswith("sqlite:///"):
        return _sqlite(Path(uri.removeprefix("sqlite:///").partition("?")[0]))
    if uri.startswith("postgresql"):
        return _postgresql(re.sub(r"^postgresql\+\w+", "postgresql", uri))
    return Outcome("connect", code="kind")


def _sqlite(path: Path) -> Outcome:
    existing = path if path.exists() else next((one for one in path.parents if one.exists()), path.parent)
    if not path.exists():
        return Outcome() if os.access(existing, os.W_OK) else Outcome("write", code="unwritable")
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=rw", uri=True, timeout=SECONDS)) as connection:
            connection.execute("PRAGMA schema_version").fetchone()
            return Outcome() if os.access(path, os.W_OK) else Outcome("write", code="unwritable")
    except sqlite3.Error:
        return Outcome("read", code="damaged")


def _postgresql(address: str) -> Outcome:
    import psycopg

    try:
        with psycopg.connect(address, connect_timeout=SECONDS, options=OPTIONS) as connection:
            row = connection.execute(WRITABLE).fetchone()
    except psycopg.Error as error:
        code = next((word for text, word in KINDS.items() if text in str(error)), "other")
        return Outcome("connect", code=code)
    return Outcome() if row and row[0] else Outcome("write", code="privilege")
