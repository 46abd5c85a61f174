"""Letting everybody leave a server: nobody new comes in, people are told, time passes, and who is left is ended."""
