"""What the page of a report shows, as plain values: texts, and coordinates of drawings.

No module here writes markup. The templates do, and escape every text that is put into them.
"""
