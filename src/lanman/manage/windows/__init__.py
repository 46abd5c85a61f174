"""Windows' own Server service, on the machine where it runs: netapi32 and the service control manager, by ctypes.

    layout     the C structures of the information levels, and records read from and written to memory
    netapi     one call of MS-SRVS as one call of netapi32, with its buffers freed
    services   one call of MS-SCMR as one call of advapi32
    system     whether a service runs, and whether this process has its user's rights: advapi32, kernel32
    manager    the Manager, whose calls netapi32 carries

Every module can be imported everywhere: a DLL is loaded when the Server service is opened, and on Windows alone.
"""
