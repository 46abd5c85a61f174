"""What `?` shows."""

from __future__ import annotations

from typing import Final

HELP: Final = r"""
Live: who is connected to a server, what is open there, and what happens.

  1 2 3 4         sessions, open files, shares, events
  Tab             the next server, where several are watched; Shift-Tab the one before
  arrows          the cursor; Page Up and Page Down, Home and End
  Left, Right     choose a column; s sorts by it: upwards, downwards, and the third time not at all
  /               filter: rows that have the text in a column; a*b and a?b are patterns; !text turns it round;
                  letter case does not count; / and \ are alike; empty shows all
  Space           mark a row; Escape takes marks away, then the filter
  x, Enter        explain: everything that is known of a row, and what taking it away would cost
  y               copy the marked rows, or the one under the cursor, to the clipboard of the terminal (OSC 52)
  p               pause: servers are not asked until p is pressed again
  q               leave

Ending and closing

  w               allow orders, and take that back. Until then, and with --readonly, nothing can be ended or closed.
  e               end the marked sessions, or the one under the cursor
  c               close the marked files, or the one under the cursor

  Nothing is done by one key: the server is asked first, and what would happen is shown, with what it costs and who
  would go along. The answer is No unless you say otherwise. More than 20 targets, or unsaved work among them, want the
  name of the server to be typed. Right before each order the server is read again: what has changed since is spared.
  What a filter hides is neither marked nor ended. A row that goes while the cursor is on it stays in sight as [gone].

The signs before a row

  >  the cursor     *  marked     +  new in the last ten seconds     ~  changed     x  no longer there
  ?  of a node that does not answer: the row is as it was last seen
  Of events: + came, - went, ~ changed, o opened a file, ! the server itself

What the columns say

  A dash is what the server did not say. In CLIENT of a file, \\pc7? is inferred (the user's only client) and
  \\pc4|\\pc9 is one of these: MS-SRVS does not say who has opened a file. SINCE with > is "not before".
  (+3 -1) beside the sessions are arrivals and departures of the last minute. A server that is polled shows what was
  there when it was asked: what opens and closes between two looks is not seen.

For screen readers

  This screen is redrawn all the time. `lanman watch --plain` writes one line for each event instead, and nothing else;
  `lanman watch --json` does so for programs.
""".strip("\n").splitlines()
