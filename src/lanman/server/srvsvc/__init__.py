r"""The Server service as management sees it: what `\PIPE\srvsvc` answers (MS-SRVS 3.1.4).

    endpoint      ServerServiceEndpoint: takes a call, has it judged, gives its answer
    calls         @answers, which puts a function behind a call; the order of the checks; refusals; lists in pages
    sessions  files  connections  shares  server  transports  names  obsolete
                  the calls of each noun: for each what it needs, who may make it, and what it answers
    paging        PreferedMaximumLength and ResumeHandle

To answer one more call, write one function under `@answers` into the module of its noun (CONTRIBUTING.md).
"""
