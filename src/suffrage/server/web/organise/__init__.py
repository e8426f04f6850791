"""Organisers' pages under /admin: made on the server, whole without JavaScript, nobody else's scripts."""
