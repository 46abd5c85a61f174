"""Watching a server: what there is on it as rows by key, and what has happened since the last look."""
