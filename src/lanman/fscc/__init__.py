"""What is asked of and told about files and file systems (MS-FSCC): bytes and values, for a client and a server alike.

    attributes    FILE_ATTRIBUTE_… (2.6) and how names of files travel
    files         information classes of files (2.4): QUERY_INFO and SET_INFO with SMB2_0_INFO_FILE
    volumes       information classes of file systems (2.5): the same with SMB2_0_INFO_FILESYSTEM
    directories   information classes that list a directory (2.4): QUERY_DIRECTORY
    notify        what has changed in a directory (2.7): CHANGE_NOTIFY
    controls      control codes and what goes in and out with them (2.3): IOCTL

A class's number stands beside its structure. Structures are declared with `@wire`; names and fields are the
specification's. Its sections of one number are cited, since those below change from one revision of the text to the
next. Times are FILETIMEs (`lanman.dtyp`), sizes and offsets bytes.
"""
