"""Alembic's migrations of the fleet database; ansim.database applies them when it opens one."""
