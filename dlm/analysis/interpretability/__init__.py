"""Inside a trained network: what it looks at, what each layer has learnt, and how alike two networks are."""
