"""Plans: what somebody is about to order, as the server says it now; shown, and then run, or not.

kept     each plan with its person, from when it is made until its outcomes have been read
work     what all kinds of plans have in common
targets  sessions that end, files that close
shares   a share that is added, changed or taken away
service  the Server service: its settings, pause and continue
drains   everybody leaves
"""
