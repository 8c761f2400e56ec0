"""Layouts of corpora on disk: one file per layout, and the search for that of a folder."""
