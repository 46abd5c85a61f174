"""More than one machine: a sweep whose servers are asked by the workers of a Dask cluster.

It needs the extra `cluster`, and is imported where a scheduler is named.

address     which schedulers may be used: tls://, or this machine's own
task        what runs on a worker: it asks a chunk of targets, with the secrets of its own machine
scheduler   the client's side: chunks, what the lock-out guard lets out, and what is done when something dies
"""
