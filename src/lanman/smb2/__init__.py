"""SMB 2 and 3 (MS-SMB2): messages, cryptography, and one connection core for both ends. Bytes in, bytes out."""
