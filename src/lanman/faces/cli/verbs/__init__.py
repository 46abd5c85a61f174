"""The verbs of `lanman`, one file each: its name is the verb's. CONTRIBUTING.md says how to add one."""
