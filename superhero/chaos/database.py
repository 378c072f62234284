"""The database behind a SQL sink, reached by a link, and what of a run stands in it."""

from __future__ import annotations

from superhero.chaos.proxy import Network
from superhero.errors import ServiceError, SettingsError

# Driver and usual port of what sinks/sql.py can reach over a network.
_DRIVERS = {"postgresql": ("postgresql+psycopg", 5432), "mariadb": ("mariadb+pymysql", 3306)}
_LOOPBACK = {"127.0.0.1", "localhost"}
_DATASET = "RECORDS"


class Database:
    """A database at `url`, postgresql:// or mariadb://, on this machine; `sink_url` leads there by `link`.

    Raise SettingsError for any other URL, ServiceError when SQLAlchemy is not installed.
    """

    def __init__(self, url: str, network: Network) -> None:
        try:
            import sqlalchemy
        except ImportError as error:
            raise ServiceError(
                "SQLAlchemy is not installed: pip install -e '.[sql]' in the project's folder"
            ) from error
        self._sql = sqlalchemy
        self._url = sqlalchemy.make_url(url)
        if self._url.drivername not in _DRIVERS or self._url.host not in _LOOPBACK:
            raise SettingsError(f"{self._url!r} must be postgresql:// or mariadb:// on this machine")
        self._driver, port = _DRIVERS[self._url.drivername]
        self.link = network.link("superhero worker-sql", self._url.port or port)
        by_link = self._url.set(host="127.0.0.1", port=self.link.port)
        self.sink_url = by_link.render_as_string(hide_password=False)

    def record_ids(self) -> set[str]:
        """Return the ids of all records that stand there, those of other runs too. Raise ServiceError."""
        sql = self._sql
        engine = sql.create_engine(self._url.set(drivername=self._driver), poolclass=sql.pool.NullPool)
        name = sql.text("SELECT table_name FROM superhero_datasets WHERE dataset = :dataset")
        try:
            with engine.connect() as connection:
                table = connection.execute(name, {"dataset": _DATASET}).scalar_one()
                return set(
                    connection.execute(
                        sql.select(sql.column("record_id")).select_from(sql.table(table))
                    ).scalars()
                )
        except sql.exc.SQLAlchemyError as error:
            raise ServiceError(f"the database at {self._url!r} cannot be read: {error}") from error
