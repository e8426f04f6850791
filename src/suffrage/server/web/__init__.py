"""The consultation's server: pages for participants, a JSON API, and what keeps both safe.

`app.create_app` makes it. Every page works without JavaScript; nothing is loaded from elsewhere.
"""
