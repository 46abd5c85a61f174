"""Who is asking: NTLM (MS-NLMP) inside SPNEGO (RFC 4178, MS-SPNG), and the model of the accounts that may log on.

`acceptor` is the server's half of a log-on, `initiator` the client's. `accounts` is the model behind the account
file. Nothing here knows SMB, a socket or a clock: tokens come in as bytes and leave as bytes.
"""
