r"""The control socket: how the machine's own people talk to their Server without a password.

    server.py    the Server's end: the socket, and the conversations on it
    calls.py     what answers the calls of the control interface (`lanman.rpc.control`)
    client.py    the other end, for the command and for managers of this machine
    follow.py    following the Server's events from there
    peer.py      who is at the other end of a Unix-domain socket

A Unix-domain stream socket in the Server's home. It carries DCE/RPC PDUs one after the other, the same calls to the
same endpoint as `\PIPE\srvsvc`, and one small interface of our own for what MS-SRVS has no call for: to stop, to read
the configuration again, to say more of sessions and shares, and to follow what happens.

The rules:

* Who may: root, and the user that the Server runs as. They own what the Server owns, so there is nothing to protect
  from them; the kernel says who they are. The socket lets nobody else in (mode 0600 in a folder of 0700); if that was
  loosened, everybody else is somebody without rights: the endpoint refuses what needs them, and the interface of our
  own answers fault 5.
* A client makes one call at a time; the answer to a call that waits (`WaitForEvents`) comes when there is one, so who
  waits has a connection of its own. All that a connection has begun ends with it.
* At most MAX_CONNECTIONS are there at a time; others wait in the kernel.
* Importing this imports nothing: a client needs nothing of the Server's end.
"""
