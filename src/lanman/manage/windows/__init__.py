"""Windows' own Server service, on the machine where it runs: netapi32 by ctypes.

    layout    the C structures of the information levels, and records read from and written to memory
    netapi    one call of MS-SRVS as one call of netapi32, with its buffers freed

Every module can be imported everywhere: no DLL is loaded by importing.
"""
