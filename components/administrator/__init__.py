"""The database's administrator, who has no password."""
