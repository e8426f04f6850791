"""How Alembic runs the migrations: on the connection and in the transaction it is given."""

from alembic import context

from suffrage.server.store.database_schema import metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    render_as_batch=connection.dialect.name == "sqlite",
)
context.run_migrations()
