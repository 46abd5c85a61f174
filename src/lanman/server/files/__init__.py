"""Folders that are shared: what SMB2 requests mean on a disk, and no disk.

    backend     DiskShare: the share that a tree connect leads to
    create      one CREATE on its way to an open
    open        DiskOpen: what a request with the FileId of a file or directory does
    rename      what a rename waits for, and who follows it
    table       Files, FileState: what is open on all shares, by file; share modes and oplocks meet there
    locks       byte ranges
    handles     which user has how many of the disk's handles
    caching     who may cache what, and what takes that back: values and tables, without sessions or time
    oplocks     what one open may cache
    leases      what all opens of a client's key may cache, and how the client is told
    durable     what outlives a lost connection, and who may have it back
    notify      CHANGE_NOTIFY
    directory   QUERY_DIRECTORY
    info        QUERY_INFO and SET_INFO: what the structures of `fscc` say of a file
    security    security descriptors of POSIX modes
    copy        server-side copy
    access      access masks

Everything here is told of files by effects (`server.disk_effects`), which its generators yield (`server.effects`).

Choices where the specifications leave one: security descriptors are shown and cannot be set (a descriptor that is kept
and not enforced would promise what does not hold); there are no extended attributes or alternate streams. Contexts
that ask for those are passed over; persistent handles become durable ones, which do not outlive the Server.
"""
