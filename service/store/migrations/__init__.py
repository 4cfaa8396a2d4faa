"""The history of the tables: one file per version, in `versions/`, applied when the database is opened."""
