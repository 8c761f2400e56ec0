"""Reading and writing of files: whole or absent, within limits, by one process at a time."""
