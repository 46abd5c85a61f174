"""The Samba of this machine, managed by its own tools: smbstatus tells, smbcontrol ends, testparm knows the shares."""
