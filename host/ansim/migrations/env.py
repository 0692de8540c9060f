"""Runs the migrations on the connection that ansim.database hands over, inside its transaction and lock."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], transaction_per_migration=False)
context.run_migrations()
