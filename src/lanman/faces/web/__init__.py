"""The web console: one page and a REST interface for the servers that `lanman web` was given.

`app` puts it together, `console` is what there is while it runs, `people` who is logged on, `logins` how they log on,
`protection` what a request must be before anything else looks at it, `listening` the sockets, `pages` the files of the
page. `api` answers questions and takes orders, `live` tells what happens. This room alone may import starlette and
uvicorn (the extra web).
"""
