"""The verbs of `lanman`, one file each, which has the verb's name (docs/contributing/add-a-verb.md)."""
