"""What the tests share: servers, clients, peers and counters; docs/testing.md has the table."""
