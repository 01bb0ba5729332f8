"""The tables, and triggers that keep the log append-only for everybody who does not drop them first."""

from sqlalchemy import Column, Engine, Float, Index, Integer, MetaData, String, Table, Text, inspect, text
from sqlalchemy.engine import Connection

METADATA = MetaData()

AUDIT = Table(
    "wattline_audit",
    METADATA,
    Column("sequence", Integer, primary_key=True, autoincrement=False),
    Column("hash", String(64), nullable=False, unique=True),
    Column("model", String(256), nullable=False),
    Column("action", String(16), nullable=False),
    Column("version", String(20)),
    Column("digest", String(64)),
    Column("envelope", Text, nullable=False),
    Index("wattline_audit_model", "model", "action"),
)
"""One row is one entry. `envelope` is all of it; the other columns repeat what it is searched by."""

LOCKS = Table(
    "wattline_lock",
    METADATA,
    Column("model", String(256), primary_key=True),
    Column("token", Integer, nullable=False),
    Column("holder", String(64)),
    Column("host", String(256)),
    Column("process", Integer),
    Column("started", String(32)),
    Column("expires", Float, nullable=False),
)
"""One row is the lock of one model. `holder` is null when nobody has it; `token` grows with each who takes it."""

TRIGGERS = {
    "sqlite": tuple(
        f"CREATE TRIGGER IF NOT EXISTS wattline_audit_no_{verb.lower()} BEFORE {verb} ON wattline_audit "
        "BEGIN SELECT RAISE(ABORT, 'wattline_audit is append-only'); END"
        for verb in ("UPDATE", "DELETE")
    ),
    "postgresql": (
        "CREATE OR REPLACE FUNCTION wattline_audit_refuse() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'wattline_audit is append-only'; END $$",
        "CREATE OR REPLACE TRIGGER wattline_audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON wattline_audit "
        "FOR EACH STATEMENT EXECUTE FUNCTION wattline_audit_refuse()",
    ),
}
CREATION = 7213846001
"""Key of PostgreSQL's advisory lock under which the tables are made: `IF NOT EXISTS` alone races there."""


def create(engine: Engine) -> None:
    """Make what is not there yet."""
    if _complete(engine):
        return
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text(f"SELECT pg_advisory_xact_lock({CREATION})"))
        else:
            # One step for all of it: who is killed in between would leave a table that the triggers do not keep.
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        METADATA.create_all(connection)
        _add_triggers(connection, engine.dialect.name)


def _complete(engine: Engine) -> bool:
    return {table.name for table in METADATA.sorted_tables} <= set(inspect(engine).get_table_names())


def _add_triggers(connection: Connection, dialect: str) -> None:
    for statement in TRIGGERS[dialect]:
        connection.exec_driver_sql(statement)
