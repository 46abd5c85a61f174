"""`doctor`: why a server denies, or does not answer, and what to do about it. It changes nothing.

facts    what there is to judge by, as values
examine  finds it out over the network: one connection, one log-on, a few questions
here     finds out what this machine has: a home, a control socket, Samba's tools, who holds the port
check    what a check is, and how one is declared
reach, protocol, logon, rights, server, machine
         the checks, each declared once; they judge facts, and neither wait nor ask
report   what came of it: findings, and a verdict
run      `doctor()`, which puts them together
"""
