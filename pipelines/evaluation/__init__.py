"""How right attribution is: pure functions over tables of calls, candidates and their truth."""
