"""Telling people something before it happens to them: by mail, a web service or a program, as lanman.toml says."""
