"""The fleet: one question to very many servers.

values      targets, questions, jobs and outcomes: plain values, which travel between processes and machines
targets     from what people type to targets: addresses, networks, files, JSON lines; exclusion and shards
logons      which credential is used where
guard       how often a password may be tried before it is known to be right: a sweep must not lock an account
line        who goes next: how many at a time, in a subnet, in a second
lookups     names to addresses, each once, in a bounded number of threads
visit       asks one server, by whatever Manager answers for it; asks a chunk of them
arrivals    outcomes on their way to whoever takes them
scheduler   where visits are made: in this process, or wherever somebody else makes them
processes   in processes of this machine; worker is such a process
dask        by the workers of a Dask cluster
store       the folder: rows, outcomes, and the state that lets a sweep go on; parts writes columns
sweep       all of that together: an async iterator of outcomes
blocking    the same for programs without asyncio

What a server is, and which protocol is spoken with it, is the business of `lanman.manage`: nothing here knows SMB.
"""
