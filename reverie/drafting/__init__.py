"""How ``reverie init`` comes to a study file: ranges around defaults, what source code tells, known kinds of models."""
