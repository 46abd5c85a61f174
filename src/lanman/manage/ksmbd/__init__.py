"""ksmbd, the SMB server in the Linux kernel of this machine, as far as its files tell: read-only."""
