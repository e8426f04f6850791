"""Organisers' pages under /admin: made on the server, whole without JavaScript and other sites."""
