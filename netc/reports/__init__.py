"""What runs show, as one page that needs nothing else: `page.report` writes it."""
