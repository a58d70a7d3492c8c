"""What keeps eight workers busy: each by its own means, all with the objective of `sleeping`."""
