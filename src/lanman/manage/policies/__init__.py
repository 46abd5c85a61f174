"""Policies: sessions that are ended by rule, after those who have them were told (policies.toml, `lanman policy`)."""
