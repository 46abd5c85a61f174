"""DCE/RPC 5.0 over a stream or a pipe, and the interfaces spoken on it: bytes in, events and bytes out (MS-RPCE)."""
