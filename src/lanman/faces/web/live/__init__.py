"""What happens, told while it happens: `hub` asks servers for all who watch, `stream` tells each browser."""
