"""Several processes that train one net together: who they are, where they meet, what they agree on, who starts them."""
