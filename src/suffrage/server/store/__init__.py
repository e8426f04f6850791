"""The consultation's store: every act of participants and staff, in one transaction each.

Open one with `database.open_store`. What a function returns is on disk: it returns after the
commit. Every key begins with the consultation's id, so that nothing of one can be reached from
another.
"""
